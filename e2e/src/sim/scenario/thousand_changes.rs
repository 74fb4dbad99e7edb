//! One entry changes a thousand watched objects: a namespace goes, and with it all that is in it. A watcher that reads piece
//! by piece is cut off in the middle of it and goes on at another replica.

use muster_model::{Key, Kind, NamespaceSpec, PutMode, Spec, Uid};

use super::script::{Memory, Stage};
use super::sign::Sign;
use crate::sim::commands::put;
use crate::sim::random::Random;
use crate::sim::watcher::WATCHED;
use crate::sim::world::World;

const OBJECTS: u64 = 1_000;
const CROWD: &str = "crowd";
/// The watcher of ConfigMaps.
const WATCHER: usize = 2;

pub(super) const STAGES: &[Stage] = &[
    Stage { name: "a thousand objects are asked for", within_ms: 20_000, step: create },
    Stage { name: "they are there; their namespace is deleted", within_ms: 180_000, step: delete },
    Stage { name: "one entry changed them all", within_ms: 20_000, step: changed },
    Stage { name: "a watcher is cut off in the middle of it", within_ms: 20_000, step: cut },
    Stage { name: "it has been given all", within_ms: 20_000, step: whole },
];

fn create(world: &mut World, _memory: &mut Memory, _sign: &Sign) -> bool {
    if !world.stands() {
        return false;
    }
    let namespace = Key::namespace(CROWD);
    let spec = Spec::Namespace(NamespaceSpec::default());
    let mut commands = vec![put(&namespace, PutMode::Create { uid: Uid(1_000) }, spec, None)];
    commands.extend((0..OBJECTS).map(|number| {
        let key = Key::new(WATCHED[WATCHER], CROWD, &format!("one-{number:04}"));
        put(&key, PutMode::Create { uid: Uid(2_000 + u128::from(number)) }, Spec::Opaque, None)
    }));
    world.found(commands);
    true
}

fn delete(world: &mut World, _memory: &mut Memory, _sign: &Sign) -> bool {
    let kind = Kind::new(WATCHED[WATCHER]);
    if world.newest_state().is_none_or(|state| state.count(&kind) < OBJECTS) || !world.founder_is_idle() {
        return false;
    }
    world.delete(&Key::namespace(CROWD));
    true
}

fn changed(_world: &mut World, _memory: &mut Memory, sign: &Sign) -> bool {
    matches!(sign, Sign::Applied { changed } if *changed as u64 >= OBJECTS)
}

fn cut(world: &mut World, memory: &mut Memory, sign: &Sign) -> bool {
    if *sign != (Sign::Piece { watcher: WATCHER }) {
        return false;
    }
    memory.until += 1;
    // Anywhere in the first half of it.
    if memory.until < 1 + memory.variant * 2 {
        return false;
    }
    let random: &mut Random = &mut memory.random;
    world.move_watcher(WATCHER, random);
    true
}

fn whole(world: &mut World, _memory: &mut Memory, _sign: &Sign) -> bool {
    world.missing_of_watcher(WATCHER) == Some(0)
}
