//! Golden explanations: each cost line, and which place wins.

use expect_test::{Expect, expect};

use crate::fixture::world;

/// Explains the job `j` of this world.
pub fn check(text: &str, expected: &Expect) {
    let report = world(text).explain("j");
    let fix = report.smallest_fix().map(|fix| format!("smallest fix: {fix}\n")).unwrap_or_default();
    expected.assert_eq(&format!("{:?} {report}{fix}", report.verdict));
}

const PRICES: &str = "
    price aws/us-east-1 A100 4.10 spot=1.20 int=50
    price aws/us-east-1/us-east-1b A100 4.00 spot=1.50 int=20
    price gcp/europe-west4 A100 3.93 spot=1.57 int=20
    price onprem/berlin A100 0.90
    egress onprem/berlin aws/us-east-1 0.05 1000
    egress gcp/europe-west4 aws/us-east-1 0.12 10000
    egress aws/us-east-1 gcp/europe-west4 0.09 5000
";

pub fn priced(text: &str, expected: &Expect) {
    check(&format!("{PRICES}{text}"), expected);
}

#[test]
fn the_cheapest_place_wins_and_every_line_shows_its_figures() {
    priced(
        "member aws-spot spot aws/us-east-1/us-east-1a 2*8xA100
         member gcp-od onDemand gcp/europe-west4 2*8xA100
         member berlin onPrem onprem/berlin 2*8xA100
         job j 1x8",
        &expect![[r#"
            Now default/j: can start now on berlin for $7.20
              berlin $7.20 on A100
                compute $7.20: 8 x $0.90/h x 1h (expected duration by default), on premises in onprem/berlin, sample of 2026-09-21
              aws-spot $9.864 on A100
                compute $9.60: 8 x $1.20/h x 1h (expected duration by default), spot in aws/us-east-1, sample of 2026-09-21
                waste $0.264: 0.05 interruptions/h x 1h x (30m lost + 3m restart) x $9.60/h
              gcp-od $31.44 on A100
                compute $31.44: 8 x $3.93/h x 1h (expected duration by default), on demand in gcp/europe-west4, sample of 2026-09-21
        "#]],
    );
}

#[test]
fn a_zone_s_price_goes_before_its_region_s() {
    priced(
        "member b onDemand aws/us-east-1/us-east-1b 1*8xA100
         job j 1x8 for=90",
        &expect![[r#"
            Now default/j: can start now on b for $48.00
              b $48.00 on A100
                compute $48.00: 8 x $4.00/h x 1h30m (expectedDuration), on demand in aws/us-east-1/us-east-1b, sample of 2026-09-21
        "#]],
    );
}

#[test]
fn checkpoints_lower_the_expected_waste() {
    priced(
        "member s spot aws/us-east-1 1*8xA100
         job j 1x8 for=600 ckpt=30",
        &expect![[r#"
            Now default/j: can start now on s for $97.44
              s $97.44 on A100
                compute $96.00: 8 x $1.20/h x 10h (expectedDuration), spot in aws/us-east-1, sample of 2026-09-21
                waste $1.44: 0.05 interruptions/h x 10h x (15m lost + 3m restart) x $9.60/h
        "#]],
    );
}

#[test]
fn data_that_is_elsewhere_costs_egress_and_waiting() {
    priced(
        "namespace wait=6.00
         dataset imagenet 150 onprem/berlin,gcp/europe-west4
         dataset local 20 aws/us-east-1
         member aws onDemand aws/us-east-1 1*8xA100
         job j 1x8 data=imagenet,local",
        &expect![[r#"
            Now default/j: can start now on aws for $42.447485
              aws $42.447485 on A100
                compute $32.80: 8 x $4.10/h x 1h (expected duration by default), on demand in aws/us-east-1, sample of 2026-09-21
                egress $7.50: imagenet: 150 GiB x $0.05/GiB, onprem/berlin to aws/us-east-1, sample of 2026-09-21
                transferWait $2.147485: imagenet: 150 GiB at 1 Gbit/s takes 21m28s, x $6.00/h of waiting
                egress $0.00: local is in aws/us-east-1 already
        "#]],
    );
}

#[test]
fn data_near_gpus_can_beat_cheaper_gpus() {
    priced(
        "dataset big 2000 gcp/europe-west4
         member aws-spot spot aws/us-east-1 1*8xA100
         member gcp onDemand gcp/europe-west4 1*8xA100
         job j 1x8 data=big active=1800",
        &expect![[r#"
            Now default/j: can start now on gcp for $15.72
              gcp $15.72 on A100
                compute $15.72: 8 x $3.93/h x 30m (activeDeadlineSeconds), on demand in gcp/europe-west4, sample of 2026-09-21
                egress $0.00: big is in gcp/europe-west4 already
              aws-spot $244.872 on A100
                compute $4.80: 8 x $1.20/h x 30m (activeDeadlineSeconds), spot in aws/us-east-1, sample of 2026-09-21
                waste $0.072: 0.05 interruptions/h x 30m x (15m lost + 3m restart) x $9.60/h
                egress $240.00: big: 1.95 TiB x $0.12/GiB, gcp/europe-west4 to aws/us-east-1, sample of 2026-09-21
                transferWait $0.00: big: 1.95 TiB at 10 Gbit/s takes 28m37s, x $0.00/h of waiting
        "#]],
    );
}

#[test]
fn a_job_without_gpus_costs_nothing_and_stays_on_premises() {
    priced(
        "member aws onDemand aws/us-east-1 1*cpu16
         member berlin onPrem onprem/berlin 1*8xA100 1*cpu16
         job j 2x0",
        &expect![[r#"
            Now default/j: can start now on berlin for $0.00
              berlin $0.00
                compute $0.00: no GPU asked for
              aws $0.00
                compute $0.00: no GPU asked for
        "#]],
    );
}

#[test]
fn owned_gpus_without_a_price_count_nothing_rented_ones_are_not_rented() {
    check(
        "price aws/us-east-1 A100 4.10
         member lab onPrem onprem/lab 1*8xA100
         member azure onDemand azure/westeurope 1*8xA100
         member aws spot aws/us-east-1 1*8xA100
         job j 1x4",
        &expect![[r#"
            Now default/j: can start now on lab for $0.00
              lab $0.00 on A100
                compute $0.00: no price for A100 in onprem/lab, which is owned
              aws
                no: no spot price for A100 in aws/us-east-1
                fix: add a spot price of A100 in aws/us-east-1 to a PriceBook
              azure
                no: no price for A100 in azure/westeurope
                fix: add an on-demand price of A100 in azure/westeurope to a PriceBook
        "#]],
    );
}
