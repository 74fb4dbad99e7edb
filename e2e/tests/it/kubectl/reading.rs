//! Looking at objects: every form of get, watch, explain, discovery, access.

use super::run::Kubectl;

pub async fn all(kubectl: &Kubectl) {
    tables(kubectl).await;
    documents(kubectl).await;
    selectors(kubectl).await;
    pages(kubectl).await;
    watches(kubectl).await;
    what_is_served(kubectl).await;
    access(kubectl).await;
    our_own_kinds(kubectl).await;
}

fn header(table: &str) -> Vec<&str> {
    table.lines().next().unwrap_or_default().split_whitespace().collect()
}

async fn tables(kubectl: &Kubectl) {
    let table = kubectl.ok("get jobs").await;
    assert_eq!(header(&table)[..3], ["NAME", "STATUS", "COMPLETIONS"], "{table}");
    let row = table.lines().find(|line| line.starts_with("story ")).expect("a row");
    assert!(row.contains("Complete") && row.contains("1/1"), "{row}");
    let wide = kubectl.ok("get jobs -o wide").await;
    assert!(header(&wide).contains(&"CONTAINERS") && header(&wide).contains(&"IMAGES"), "{wide}");
    assert!(wide.contains("example/train:1"), "{wide}");
    let everywhere = kubectl.ok("get jobs -A").await;
    assert_eq!(header(&everywhere)[..2], ["NAMESPACE", "NAME"]);
    assert!(everywhere.contains(&kubectl.namespace), "{everywhere}");
    let labelled = kubectl.ok("get jobs -L team --show-labels --sort-by=.metadata.name").await;
    assert!(header(&labelled).contains(&"TEAM") && labelled.contains("team=vision"), "{labelled}");
    let both = kubectl.ok("get jobs,configmaps").await;
    assert!(both.contains("job.batch/story") && both.contains("configmap/settings"), "{both}");
    let custom = kubectl.ok("get job story -o custom-columns=N:.metadata.name,S:.status.succeeded").await;
    assert!(custom.lines().nth(1).is_some_and(|line| line.split_whitespace().eq(["story", "1"])), "{custom}");
}

async fn documents(kubectl: &Kubectl) {
    let yaml = kubectl.ok("get job story -o yaml").await;
    for line in ["apiVersion: batch/v1", "kind: Job", "  name: story", "  succeeded: 1"] {
        assert!(yaml.lines().any(|found| found == line), "{line} in\n{yaml}");
    }
    let job = kubectl.get("job story").await;
    let controller = &job["metadata"]["uid"];
    assert_eq!(&job["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"], controller);
    assert_eq!(job["spec"]["template"]["metadata"]["labels"]["job-name"], "story");
    assert_eq!(kubectl.ok("get job story -o name").await.trim(), "job.batch/story");
    assert_eq!(kubectl.ok("get job story -o jsonpath={.status.succeeded}").await, "1");
    // A manifest that was got can be applied again.
    let said = kubectl.ok_with("apply -f -", yaml).await;
    assert!(said.contains("job.batch/story"), "{said}");
}

async fn selectors(kubectl: &Kubectl) {
    let names = |line: &'static str| async move {
        let mut names: Vec<String> = kubectl.ok(line).await.lines().map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(
        names("get jobs -o name -l team=vision,team!=speech --field-selector metadata.name=story").await,
        ["job.batch/story"]
    );
    assert_eq!(names("get jobs -o name -l team-of-nobody").await, Vec::<String>::new());
    assert!(names("get jobs -o name -l team").await.contains(&"job.batch/story".to_owned()));
    assert_eq!(names("get jobs -o name --field-selector metadata.name=l1").await, ["job.batch/l1"]);
    let said = kubectl.refused("get jobs --field-selector spec.nonsense=1", "").await;
    assert!(said.contains(r#"field label "spec.nonsense" not supported for Job"#), "{said}");
}

async fn pages(kubectl: &Kubectl) {
    let whole: Vec<String> = kubectl.ok("get jobs -o name").await.lines().map(str::to_owned).collect();
    let paged: Vec<String> =
        kubectl.ok("get jobs -o name --chunk-size=2").await.lines().map(str::to_owned).collect();
    assert!(whole.len() > 4, "more than two pages: {whole:?}");
    assert_eq!(paged, whole);
}

async fn watches(kubectl: &Kubectl) {
    let mut watch = kubectl.start("get jobs -w -o name");
    watch.line_with("job.batch/story").await;
    kubectl.ok_with("create -f -", kubectl.held_job("watched")).await;
    watch.line_with("job.batch/watched").await;
    let mut table = kubectl.start("get jobs --watch-only --output-watch-events");
    // It has begun when it sees a change; changes are made until it does.
    let seen = async { table.line_with("MODIFIED").await };
    let stirred = async {
        for i in 0.. {
            kubectl.ok(&format!("annotate job watched stir={i} --overwrite")).await;
        }
    };
    let line = tokio::select! { line = seen => line, () = stirred => unreachable!("it goes on") };
    assert!(line.contains("watched") && line.contains("Suspended"), "{line}");
}

async fn what_is_served(kubectl: &Kubectl) {
    let resources = kubectl.ok("api-resources").await;
    for line in [
        "jobs",
        "configmaps",
        "cm",
        "namespaces",
        "events",
        "pods",
        "clusters",
        "placements",
        "datasets",
        "pricebooks",
        "runs",
    ] {
        assert!(resources.split_whitespace().any(|word| word == line), "{line} in\n{resources}");
    }
    let versions = kubectl.ok("api-versions").await;
    for line in ["batch/v1", "muster.sh/v1alpha1", "v1"] {
        assert!(versions.lines().any(|found| found == line), "{line} in\n{versions}");
    }
    let containers = kubectl.ok("explain job.spec.template.spec.containers").await;
    for text in ["KIND:", "Job", "FIELD: containers <[]Container>", "image\t<string>", "required"] {
        assert!(containers.contains(text), "{text} in\n{containers}");
    }
    let placement = kubectl.ok("explain placement.spec").await;
    assert!(placement.contains("maxHourlyCost") && placement.contains("partitionPolicy"), "{placement}");
    assert!(kubectl.ok("version").await.contains("Server Version: v1.34"));
    assert_eq!(kubectl.ok("get --raw /readyz").await.trim_end().get(..2), Some("ok"));
}

async fn access(kubectl: &Kubectl) {
    assert_eq!(kubectl.ok("auth can-i create jobs").await.trim(), "yes");
    assert_eq!(kubectl.ok("auth can-i delete namespaces --all-namespaces").await.trim(), "yes");
    let rules = kubectl.ok("auth can-i --list").await;
    assert!(rules.contains("*.*"), "{rules}");
    let who = kubectl.ok("auth whoami").await;
    assert!(who.contains("muster-admin") && who.contains("system:masters"), "{who}");
}

async fn our_own_kinds(kubectl: &Kubectl) {
    let clusters = kubectl.ok("get clusters").await;
    assert_eq!(header(&clusters)[0], "NAME");
    for member in ["aws-use1-spot", "gcp-usc1-spot"] {
        assert!(clusters.contains(member), "{clusters}");
    }
    let cluster = kubectl.ok("describe cluster aws-use1-spot").await;
    assert!(cluster.contains("us-east-1") && cluster.contains("Ready"), "{cluster}");
    assert!(kubectl.ok("get events").await.contains("Completed"));
    assert!(kubectl.ok("get pricebooks").await.lines().count() > 1);
    let cordoned = kubectl
        .ok(r#"patch cluster gcp-usc1-spot --type=merge -p {"metadata":{"labels":{"seen":"yes"}}}"#)
        .await;
    assert!(cordoned.contains("gcp-usc1-spot patched"), "{cordoned}");
    let said = kubectl
        .refused(
            r#"patch cluster gcp-usc1-spot --type=strategic -p {"metadata":{"labels":{"seen":"no"}}}"#,
            "",
        )
        .await;
    assert!(said.contains("UnsupportedMediaType") || said.contains("not supported"), "{said}");
}
