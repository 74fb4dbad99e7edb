//! Golden explanations: each filter, with its reason and fix.

use expect_test::expect;

use crate::costs::{check, priced};

#[test]
fn members_that_cannot_take_jobs_now_say_so_with_their_price() {
    priced(
        "member a onPrem onprem/berlin 1*8xA100 unjoined
         member b onPrem onprem/berlin 1*8xA100 cordoned
         member c onPrem onprem/berlin 1*8xA100 lapsed
         member d onPrem onprem/berlin 1*8xA100@4
         member e onPrem onprem/berlin 1*8xA100 deleting
         member f onPrem onprem/berlin unheard
         job j 1x8",
        &expect![[r#"
            Wait default/j: no cluster can take it now; d: 8 GPU needed, 4 free now
              a
                no: no agent has joined
                fix: run on it the line that `muster cluster join` prints for its name
              b $7.20 on A100
                compute $7.20: 8 x $0.90/h x 1h (expected duration by default), on premises in onprem/berlin, sample of 2026-09-21
                no: is cordoned
                fix: wait, or uncordon it
              c $7.20 on A100
                compute $7.20: 8 x $0.90/h x 1h (expected duration by default), on premises in onprem/berlin, sample of 2026-09-21
                no: is not ready: out of contact since 2026-11-20T10:44:05Z
                fix: wait, or look why its agent is out of contact
              d $7.20 on A100
                compute $7.20: 8 x $0.90/h x 1h (expected duration by default), on premises in onprem/berlin, sample of 2026-09-21
                no: 8 GPU needed, 4 free now
                fix: wait for running jobs to end, or ask for less
              e
                no: is being deleted
                fix: use another cluster
              f
                no: is not ready: its agent has not been in contact
                fix: wait, or look why its agent is out of contact
            smallest fix: d: wait for running jobs to end, or ask for less
        "#]],
    );
}

#[test]
fn taints_and_selectors() {
    priced(
        "member a onPrem onprem/berlin 1*8xA100 taint:team=red:NoSchedule
         member b onPrem onprem/berlin 1*8xA100 label:tier=silver
         member c onPrem onprem/berlin 1*8xA100 label:tier=gold
         member d onPrem onprem/berlin 1*8xA100 label:tier=gold label:disk=ssd taint:dying=1:NoExecute
         job j 1x8 sel:tier=gold node:disk=ssd",
        &expect![[r#"
            Never default/j: no cluster can ever take it as it is; a: its labels do not match clusterSelector tier=gold
              a
                no: its labels do not match clusterSelector tier=gold
                fix: give the cluster a label so that tier=gold holds, or change spec.clusterSelector
              b
                no: its labels do not match clusterSelector tier=gold
                fix: give the cluster a label so that tier=gold holds, or change spec.clusterSelector
              c
                no: its labels do not match nodeSelector disk=ssd
                fix: give the cluster a label so that disk=ssd holds, or change nodeSelector
              d
                no: has taint dying=1:NoExecute, which the job does not tolerate
                fix: tolerate dying=1:NoExecute in the pod template, or remove the taint
            smallest fix: a: give the cluster a label so that tier=gold holds, or change spec.clusterSelector
        "#]],
    );
}

#[test]
fn a_tolerated_taint_is_none_and_a_soft_one_only_ranks() {
    priced(
        "member a onPrem onprem/berlin 1*8xA100 taint:old=1:PreferNoSchedule
         member b onPrem onprem/berlin 1*8xA100 taint:team=red:NoSchedule
         job j 1x8 tol=team",
        &expect![[r#"
            Now default/j: can start now on b for $7.20
              b $7.20 on A100
                compute $7.20: 8 x $0.90/h x 1h (expected duration by default), on premises in onprem/berlin, sample of 2026-09-21
              a $7.20 on A100
                compute $7.20: 8 x $0.90/h x 1h (expected duration by default), on premises in onprem/berlin, sample of 2026-09-21
        "#]],
    );
}

#[test]
fn spot_never_and_require() {
    let fleet = "member s spot aws/us-east-1 1*8xA100
         member d onDemand aws/us-east-1 1*8xA100
         job j 1x8 ";
    priced(
        &format!("{fleet} spot=never"),
        &expect![[r#"
        Now default/j: can start now on d for $32.80
          d $32.80 on A100
            compute $32.80: 8 x $4.10/h x 1h (expected duration by default), on demand in aws/us-east-1, sample of 2026-09-21
          s
            no: is spot, and the job's placement says spot: never
            fix: set spec.spot to prefer
    "#]],
    );
    priced(
        &format!("{fleet} spot=require"),
        &expect![[r#"
        Now default/j: can start now on s for $9.864
          s $9.864 on A100
            compute $9.60: 8 x $1.20/h x 1h (expected duration by default), spot in aws/us-east-1, sample of 2026-09-21
            waste $0.264: 0.05 interruptions/h x 1h x (30m lost + 3m restart) x $9.60/h
          d
            no: is on demand, and the job's placement says spot: require
            fix: set spec.spot to prefer
    "#]],
    );
}

#[test]
fn eight_gpus_on_eight_nodes_are_not_one_node_with_eight() {
    priced(
        "member ones onPrem onprem/berlin 8*1xA100
         member fours onPrem onprem/berlin 2*4xA100
         member split onPrem onprem/berlin 2*8xA100@4
         job j 1x8",
        &expect![[r#"
            Wait default/j: no cluster can take it now; split: 8 GPU on one Node needed, at most 4 free on one Node now (8 in all)
              fours
                no: 8 GPU on one Node needed; the largest Node with A100 has 4
                fix: ask for at most 4 GPU, 96 CPU, 384 GiB per pod, or add larger Nodes
              ones
                no: 8 GPU on one Node needed; the largest Node with A100 has 1
                fix: ask for at most 1 GPU, 96 CPU, 384 GiB per pod, or add larger Nodes
              split $7.20 on A100
                compute $7.20: 8 x $0.90/h x 1h (expected duration by default), on premises in onprem/berlin, sample of 2026-09-21
                no: 8 GPU on one Node needed, at most 4 free on one Node now (8 in all)
                fix: wait for running jobs to end, or ask for less
            smallest fix: split: wait for running jobs to end, or ask for less
        "#]],
    );
}

#[test]
fn gpu_models() {
    priced(
        "member a onPrem onprem/berlin 1*8xL4
         member b onPrem onprem/berlin 1*cpu64
         member c onPrem onprem/berlin 1*8xA100
         job j 1x1 gpus=any:H100,H200",
        &expect![[r#"
            Never default/j: no cluster can ever take it as it is; a: has L4, the job asks for H100 or H200
              a
                no: has L4, the job asks for H100 or H200
                fix: allow L4 in spec.gpus or nodeSelector
              b
                no: has no GPUs, the job asks for H100 or H200
                fix: use a cluster with GPUs
              c
                no: has A100, the job asks for H100 or H200
                fix: allow A100 in spec.gpus or nodeSelector
            smallest fix: a: allow L4 in spec.gpus or nodeSelector
        "#]],
    );
    priced(
        "member a onPrem onprem/berlin 1*8xL4
         member c onPrem onprem/berlin 1*8xA100@8
         job j 1x1 model=A100",
        &expect![[r#"
            Wait default/j: no cluster can take it now; c: 1 GPU needed, 0 free now
              a
                no: has L4, the job asks for A100
                fix: allow L4 in spec.gpus or nodeSelector
              c $0.90 on A100
                compute $0.90: 1 x $0.90/h x 1h (expected duration by default), on premises in onprem/berlin, sample of 2026-09-21
                no: 1 GPU needed, 0 free now
                fix: wait for running jobs to end, or ask for less
            smallest fix: c: wait for running jobs to end, or ask for less
        "#]],
    );
}

#[test]
fn the_first_of_ordered_choices_wins_whatever_it_costs() {
    priced(
        "price onprem/berlin L4 0.10
         price aws/us-east-1 H100 12.00
         member cheap onPrem onprem/berlin 1*8xL4
         member dear onDemand aws/us-east-1 1*8xH100
         job j 1x4 gpus=ordered:H100:2,L4",
        &expect![[r#"
            Now default/j: can start now on dear for $24.00
              dear $24.00 on H100
                compute $24.00: 2 x $12.00/h x 1h (expected duration by default), on demand in aws/us-east-1, sample of 2026-09-21
              cheap $0.40 on L4
                compute $0.40: 4 x $0.10/h x 1h (expected duration by default), on premises in onprem/berlin, sample of 2026-09-21
        "#]],
    );
}

#[test]
fn a_gang_is_placed_whole_or_not_at_all() {
    priced(
        "member small onPrem onprem/berlin 3*8xA100
         member busy onPrem onprem/berlin 3*8xA100 1*8xA100@1
         job j 4x8",
        &expect![[r#"
            Wait default/j: no cluster can take it now; busy: 32 GPU needed, 31 free now
              busy $28.80 on A100
                compute $28.80: 32 x $0.90/h x 1h (expected duration by default), on premises in onprem/berlin, sample of 2026-09-21
                no: 32 GPU needed, 31 free now
                fix: wait for running jobs to end, or ask for less
              small $28.80 on A100
                compute $28.80: 32 x $0.90/h x 1h (expected duration by default), on premises in onprem/berlin, sample of 2026-09-21
                no: 4 pods at a time with 32 GPU, 4 CPU, 4 GiB together do not fit its Nodes even when these are empty (24 GPU, 288 CPU, 1152 GiB)
                fix: lower parallelism, or add Nodes
            smallest fix: busy: wait for running jobs to end, or ask for less
        "#]],
    );
}

#[test]
fn cpu_and_memory_are_limits_too() {
    priced(
        "member a onPrem onprem/berlin 4*8xA100
         member b onPrem onprem/berlin 1*cpu64
         job j 1x1 cpu=128",
        &expect![[r#"
            Never default/j: no cluster can ever take it as it is; a: 128 CPU on one Node needed; the largest Node with A100 has 96 CPU
              a
                no: 128 CPU on one Node needed; the largest Node with A100 has 96 CPU
                fix: ask for at most 8 GPU, 96 CPU, 384 GiB per pod, or add larger Nodes
              b
                no: has no GPUs, the job asks for GPUs
                fix: use a cluster with GPUs
            smallest fix: a: ask for at most 8 GPU, 96 CPU, 384 GiB per pod, or add larger Nodes
        "#]],
    );
}

#[test]
fn sovereignty_is_a_hard_rule() {
    priced(
        "dataset patients 10 onprem/berlin allowed=onprem/berlin,europe-west4
         member aws onDemand aws/us-east-1 1*8xA100
         job j 1x1 data=patients",
        &expect![[r#"
            Never default/j: no cluster can ever take it as it is; aws: dataset patients may not be read in aws/us-east-1, only in onprem/berlin, europe-west4
              aws
                no: dataset patients may not be read in aws/us-east-1, only in onprem/berlin, europe-west4
                fix: add aws/us-east-1 to spec.allowedRegions of Dataset "patients" if its data may be read there
            smallest fix: aws: add aws/us-east-1 to spec.allowedRegions of Dataset "patients" if its data may be read there
        "#]],
    );
}

#[test]
fn what_a_job_names_must_be_there() {
    let fleet = "member a onPrem onprem/berlin 1*8xA100\n";
    priced(
        &format!("{fleet} job j 1x1 place=fast"),
        &expect![[r#"
        Never default/j: Placement "fast" is not there
          a
            no: Placement "fast" is not there
            fix: create Placement "fast" in the job's namespace, or correct the annotation muster.sh/placement
        smallest fix: create Placement "fast" in the job's namespace, or correct the annotation muster.sh/placement
    "#]],
    );
    priced(
        &format!("{fleet} job j 1x1 data=imagenet"),
        &expect![[r#"
        Never default/j: Dataset "imagenet" is not there
          a
            no: Dataset "imagenet" is not there
            fix: create Dataset "imagenet" in the job's namespace, or correct spec.datasets
        smallest fix: create Dataset "imagenet" in the job's namespace, or correct spec.datasets
    "#]],
    );
    priced(
        &format!("{fleet} placement fast spot=require\n job j 1x1 place=fast"),
        &expect![[r#"
        Never default/j: no cluster can ever take it as it is; a: is on premises, and the job's placement says spot: require
          a
            no: is on premises, and the job's placement says spot: require
            fix: set spec.spot to prefer
        smallest fix: a: set spec.spot to prefer
    "#]],
    );
}

#[test]
fn data_without_a_way_to_get_it() {
    priced(
        "dataset nowhere 10
         member a onPrem onprem/berlin 1*8xA100
         job j 1x1 data=nowhere",
        &expect![[r#"
            Never default/j: no cluster can ever take it as it is; a: dataset nowhere has no replica to copy from
              a
                no: dataset nowhere has no replica to copy from
                fix: name a replica in spec.replicas of Dataset "nowhere"
            smallest fix: a: name a replica in spec.replicas of Dataset "nowhere"
        "#]],
    );
    priced(
        "dataset far 10 gcp/europe-west4
         member a onPrem onprem/berlin 1*8xA100
         job j 1x1 data=far",
        &expect![[r#"
            Never default/j: no cluster can ever take it as it is; a: no egress price for dataset far from gcp/europe-west4 to onprem/berlin
              a
                no: no egress price for dataset far from gcp/europe-west4 to onprem/berlin
                fix: add egress from gcp/europe-west4 to onprem/berlin to a PriceBook
            smallest fix: a: add egress from gcp/europe-west4 to onprem/berlin to a PriceBook
        "#]],
    );
}

#[test]
fn price_caps_and_deadlines() {
    let fleet = "dataset imagenet 150 onprem/berlin
         member aws onDemand aws/us-east-1 1*8xA100\n";
    priced(
        &format!("{fleet} job j 1x8 max=30"),
        &expect![[r#"
        Never default/j: no cluster can ever take it as it is; aws: costs $32.80 an hour, more than maxHourlyCost $30.00
          aws
            no: costs $32.80 an hour, more than maxHourlyCost $30.00
            fix: raise spec.maxHourlyCost to 32.80
        smallest fix: aws: raise spec.maxHourlyCost to 32.80
    "#]],
    );
    priced(
        &format!("{fleet} job j 1x8 deadline=70 data=imagenet"),
        &expect![[r#"
        Never default/j: no cluster can ever take it as it is; aws: would be done 11m28s after the deadline 2026-11-20T11:54:05Z
          aws
            no: would be done 11m28s after the deadline 2026-11-20T11:54:05Z
            fix: set spec.deadline to 2026-11-20T12:05:33Z or later, or correct spec.expectedDuration
        smallest fix: aws: set spec.deadline to 2026-11-20T12:05:33Z or later, or correct spec.expectedDuration
    "#]],
    );
}

#[test]
fn fencing_needs_a_backend_that_can() {
    priced(
        "member a onPrem onprem/berlin 1*8xA100 nofence
         job j 1x1 policy=Fence",
        &expect![[r#"
            Never default/j: no cluster can ever take it as it is; a: its backend cannot end an attempt at a deadline, which partitionPolicy Fence needs
              a
                no: its backend cannot end an attempt at a deadline, which partitionPolicy Fence needs
                fix: set spec.partitionPolicy to Keep or DuplicateOk
            smallest fix: a: set spec.partitionPolicy to Keep or DuplicateOk
        "#]],
    );
}

#[test]
fn a_named_placement_must_leave_room_for_the_jobs_grace() {
    priced(
        "member a onPrem onprem/berlin 1*8xA100
         placement quick policy=Fence fence=38
         job j 1x1 place=quick",
        &expect![[r#"
            Never default/j: fenceAfter 38s is not above 38s: the job's grace, the kill budget and three heartbeats
              a
                no: fenceAfter 38s is not above 38s: the job's grace, the kill budget and three heartbeats
                fix: set spec.fenceAfter of the Placement above 38s, or lower terminationGracePeriodSeconds
            smallest fix: set spec.fenceAfter of the Placement above 38s, or lower terminationGracePeriodSeconds
        "#]],
    );
    priced(
        "member a onPrem onprem/berlin 1*8xA100
         placement quick policy=Fence fence=39
         job j 1x1 place=quick",
        &expect![[r#"
            Now default/j: can start now on a for $0.90
              a $0.90 on A100
                compute $0.90: 1 x $0.90/h x 1h (expected duration by default), on premises in onprem/berlin, sample of 2026-09-21
        "#]],
    );
}

#[test]
fn an_empty_federation_waits_for_its_first_cluster() {
    check(
        "job j 1x1",
        &expect![[r#"
        Wait default/j: no cluster has joined the federation
        smallest fix: join one: `muster cluster join NAME`
    "#]],
    );
}
