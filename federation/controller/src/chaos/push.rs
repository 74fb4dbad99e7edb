//! Orders to members, over their sessions. One that is lost is asked for, or sent again with the next change.

use std::collections::BTreeSet;

use muster_core::State;
use muster_model::{Event, FaultOrder, FaultPhase, FaultTarget, MemberName, kinds};
use muster_proto::federation::HubMessage;

use crate::agents::Sessions;
use crate::hub::now;

/// What the hub wants of a member now.
pub fn orders_of(state: &State, member: &MemberName) -> Vec<FaultOrder> {
    state.fault_orders(&FaultTarget::Member(member.clone()), now())
}

/// The members whose faults changed.
pub fn told_members(events: &[Event]) -> BTreeSet<MemberName> {
    let target = |event: &Event| match event {
        Event::Changed { key, new: Some(new), .. } if key.is(kinds::FAULT) => {
            new.fault()?.spec.target.member().cloned()
        }
        _ => None,
    };
    events.iter().filter_map(target).collect()
}

/// The members whose hosts have not done what they were told: the message may have been lost.
pub fn late_members(state: &State) -> BTreeSet<MemberName> {
    let late = state.open_faults().filter_map(|object| {
        let fault = object.fault()?;
        let is_late = fault.phase == FaultPhase::Pending || fault.aborted.is_some();
        fault.spec.target.member().filter(|_| is_late).cloned()
    });
    late.collect()
}

/// Sends a member its orders, if there are any.
pub fn tell(sessions: &Sessions, state: &State, member: &MemberName) {
    let orders = orders_of(state, member);
    if orders.is_empty() {
        return;
    }
    if let Some(outbox) = sessions.outbox(member) {
        outbox.try_send(HubMessage::Faults(orders));
    }
}
