//! Who may speak.

use expect_test::expect;
use muster_leader::{Input, SessionId};
use muster_model::*;

use crate::hub::{Hub, START, capacity, hello, show};

#[test]
fn only_members_that_joined_with_a_certificate_that_was_not_revoked() {
    let mut hub = Hub::new(&["a"]);
    expect![[r#"
        close 1: no member stranger has joined: ask for a token for this name
    "#]]
    .assert_eq(&show(&hub.open_session(1, "stranger")));
    let (member, session) = (MemberName::new("a"), SessionId(2));
    let old = Input::SessionOpened { member, session, certificate_from: TimeMs(START - 1) };
    expect![[r#"
        close 2: the certificate was revoked: join again with a new token
    "#]]
    .assert_eq(&show(&hub.step(old)));
}

#[test]
fn a_revocation_ends_open_streams_at_once() {
    let mut hub = Hub::new(&["a"]);
    hub.connect(1, "a");
    let revoke = Command::Revoke { member: MemberName::new("a"), principal: Principal::new("petra") };
    expect![[r#"
        close 1: the certificate was revoked: join again with a new token
    "#]]
    .assert_eq(&show(&hub.apply(revoke).1));
    assert_eq!(hub.beat(1, 1), []);
}

#[test]
fn a_member_speaks_only_for_itself_and_says_hello_first_and_once() {
    let mut hub = Hub::new(&["a", "b"]);
    hub.open_session(1, "a");
    expect![[r#"
        close 1: the certificate is of a, the hello of b
    "#]]
    .assert_eq(&show(&hub.say(1, hello("b", 1, vec![]))));
    hub.open_session(2, "a");
    expect![[r#"
        close 2: the first message must be a hello
    "#]]
    .assert_eq(&show(&hub.beat(2, 1)));
    hub.connect(3, "a");
    expect![[r#"
        close 3: a second hello in one session
    "#]]
    .assert_eq(&show(&hub.say(3, hello("a", 1, vec![]))));
    hub.connect(4, "a");
    expect![[r#"
        close 4: the capacity is of another member or incarnation than the session
    "#]]
    .assert_eq(&show(&hub.say(4, ToHub::Capacity(capacity("b", 1, 9)))));
}

#[test]
fn a_stream_without_a_hello_is_closed_and_a_silent_one_when_its_lease_lapses() {
    let mut hub = Hub::new(&["a", "b"]);
    hub.open_session(1, "a");
    hub.connect(2, "b");
    expect![[r#"
        propose ready a false
        propose ready b false
        close 2: the lease lapsed: say hello again
        close 1: no hello arrived in time
    "#]]
    .assert_eq(&show(&hub.wait(30_000)));
}
