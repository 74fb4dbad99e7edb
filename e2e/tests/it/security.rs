//! Who gets in where: every kind of certificate on every port, tokens, joining, revocation. Real connections throughout.

mod certificates;
pub use certificates::authorities;
mod connect;
mod joining;
mod matrix;
mod sessions;
mod tokens;

use muster_e2e::local::{Federation, Options};

/// One federation for everything that does not break it.
#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_gets_in() {
    let federation = Federation::start(&Options::default());
    matrix::each_certificate_on_each_port(&federation).await;
    tokens::bearer_tokens(&federation).await;
    joining::tokens_are_good_once(&federation).await;
    joining::the_agent_checks_the_pin(&federation).await;
    tokio::join!(
        sessions::a_revoked_member_is_out(&federation),
        sessions::a_second_agent_is_refused(&federation)
    );
}
