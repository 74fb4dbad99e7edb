//! Imports of samples, and of everything that can be wrong with a feed (S22).

use expect_test::{Expect, expect};
use muster_model::{DurationMs, GpuPrice, MicroUsd, PriceBookSpec, Spec, TimeMs};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::kinds::{StoredKind, parse_time};

const DAY: DurationMs = DurationMs(24 * 3600 * 1000);

fn time(text: &str) -> TimeMs {
    parse_time(&format!("{text}T00:00:00Z")).unwrap()
}

fn options(provider: Provider, as_of: &str) -> ImportOptions {
    ImportOptions {
        provider,
        source: None,
        as_of: Some(as_of).filter(|day| !day.is_empty()).map(time),
        region: None,
        only: Vec::new(),
        max_age: DurationMs(90 * DAY.0),
        max_jump_milli: 3_000,
        now: time("2026-08-20"),
    }
}

fn spec_of(book: &Value) -> PriceBookSpec {
    let kind = StoredKind::of(&muster_model::Kind::new("pricebooks.muster.sh")).unwrap();
    match (kind.read)(book).unwrap().spec {
        Spec::PriceBook(spec) => PriceBookSpec::clone(&spec),
        other => panic!("{other:?}"),
    }
}

/// What an import comes to, in lines.
fn summary(import: &Import) -> String {
    let amount = |amount: Option<MicroUsd>| amount.map_or("-".to_owned(), |amount| amount.to_string());
    let mut lines: Vec<String> = import
        .changes
        .iter()
        .map(|c| format!("{} {}: {} -> {} ({})", c.what, c.field, amount(c.old), amount(c.new), c.source))
        .collect();
    lines.extend(import.refused.iter().map(|refused| format!("refused {refused}")));
    lines.extend(import.held.iter().map(|held| format!("held {held}")));
    lines.push(format!("{} figures, {} passed over", import.figures, import.passed_over));
    lines.join("\n")
}

#[allow(clippy::needless_pass_by_value, reason = "expectations stand in the call")]
fn check(book: Option<&Value>, files: &[(&str, &str)], options: &ImportOptions, want: Expect) -> Value {
    let files: Vec<PriceFile<'_>> = files.iter().map(|(name, text)| PriceFile { name, text }).collect();
    let import = import(book, "cloud", &files, options).unwrap();
    want.assert_eq(&summary(&import));
    // What is stored is what the hub reads.
    assert_eq!(
        spec_of(&import.document).compute.len() + spec_of(&import.document).egress.len(),
        import.figures
    );
    import.document
}

#[test]
fn samples_of_three_clouds() {
    let p_family = include_str!("../../tests/prices/aws-p-family.csv");
    check(
        None,
        &[("aws-p-family.csv", p_family)],
        &options(Provider::Aws, "2026-08-01"),
        expect![[r#"
        Tesla-V100-SXM2-16GB in aws/eu-central-1 onDemand: - -> 3.823 (aws-p-family.csv: p3.2xlarge)
        Tesla-V100-SXM2-16GB in aws/eu-central-1 spot: - -> 0.8019 (aws-p-family.csv: p3.2xlarge)
        Tesla-V100-SXM2-16GB in aws/eu-central-1/euc1-az2 onDemand: - -> 3.823 (aws-p-family.csv: p3.2xlarge)
        Tesla-V100-SXM2-16GB in aws/eu-central-1/euc1-az2 spot: - -> 0.5887 (aws-p-family.csv: p3.2xlarge)
        Tesla-V100-SXM2-16GB in aws/eu-central-1/euc1-az3 onDemand: - -> 3.823 (aws-p-family.csv: p3.2xlarge)
        Tesla-V100-SXM2-16GB in aws/eu-central-1/euc1-az3 spot: - -> 0.8019 (aws-p-family.csv: p3.2xlarge)
        NVIDIA-A100-SXM4-80GB in aws/us-east-1 onDemand: - -> 3.430881 (aws-p-family.csv: p4de.24xlarge)
        NVIDIA-A100-SXM4-80GB in aws/us-east-1 spot: - -> 1.246675 (aws-p-family.csv: p4de.24xlarge)
        NVIDIA-A100-SXM4-80GB in aws/us-east-1/use1-az4 onDemand: - -> 3.430881 (aws-p-family.csv: p4de.24xlarge)
        NVIDIA-A100-SXM4-80GB in aws/us-east-1/use1-az4 spot: - -> 1.246675 (aws-p-family.csv: p4de.24xlarge)
        NVIDIA-A100-SXM4-80GB in aws/us-east-1/use1-az6 onDemand: - -> 3.430881 (aws-p-family.csv: p4de.24xlarge)
        NVIDIA-A100-SXM4-80GB in aws/us-east-1/use1-az6 spot: - -> 1.081313 (aws-p-family.csv: p4de.24xlarge)
        refused aws-p-family.csv:6: od_usd_h: is empty
        6 figures, 0 passed over"#]],
    );
    let on_demand = include_str!("../../tests/prices/aws-us-east-1-ondemand-2026-07.csv");
    let east = ImportOptions { region: Some("us-east-1".to_owned()), ..options(Provider::Aws, "") };
    check(
        None,
        &[("aws-us-east-1-ondemand-2026-07.csv", on_demand)],
        &east,
        expect![[r#"
        NVIDIA-A100-SXM4-40GB in aws/us-east-1 onDemand: - -> 2.744705 (aws-us-east-1-ondemand-2026-07.csv: p4d.24xlarge)
        NVIDIA-A10G in aws/us-east-1 onDemand: - -> 1.006 (aws-us-east-1-ondemand-2026-07.csv: g5.xlarge)
        2 figures, 1 passed over"#]],
    );
    let gcp = include_str!("../../tests/prices/gcp-machine-types.csv");
    check(
        None,
        &[("gcp.csv", gcp)],
        &options(Provider::Gcp, "2026-08-03"),
        expect![[r#"
        NVIDIA-A100-SXM4-40GB in gcp/us-central1 onDemand: - -> 3.673385 (gcp.csv: a2-highgpu-1g)
        NVIDIA-A100-SXM4-40GB in gcp/us-central1 spot: - -> 1.92802 (gcp.csv: a2-highgpu-1g)
        NVIDIA-H100-80GB-HBM3 in gcp/us-central1 onDemand: - -> 11.06125 (gcp.csv: a3-highgpu-8g)
        NVIDIA-H100-80GB-HBM3 in gcp/us-central1 spot: - -> 6.326193 (gcp.csv: a3-highgpu-8g)
        NVIDIA-L4 in gcp/us-central1 onDemand: - -> 1.000416 (gcp.csv: g2-standard-96)
        NVIDIA-L4 in gcp/us-central1 spot: - -> 0.562408 (gcp.csv: g2-standard-96)
        3 figures, 0 passed over"#]],
    );
    let azure = include_str!("../../tests/prices/azure-vms.csv");
    check(
        None,
        &[("azure.csv", azure)],
        &options(Provider::Azure, "2026-06-18"),
        expect![[r#"
        NVIDIA-A100-80GB-PCIe in azure/eastus onDemand: - -> 3.673 (azure.csv: Standard_NC24ads_A100_v4)
        NVIDIA-H100-80GB-HBM3 in azure/eastus onDemand: - -> 12.29 (azure.csv: Standard_ND96isr_H100_v5)
        2 figures, 1 passed over"#]],
    );
}

#[test]
fn egress_and_bandwidth_by_pair_of_regions() {
    let (costs, speeds) = (
        include_str!("../../tests/prices/egress.csv"),
        include_str!("../../tests/prices/throughput-2022-11.csv"),
    );
    let wide = ImportOptions { max_age: DurationMs(2_000 * DAY.0), ..options(Provider::Aws, "2022-11-01") };
    let book = check(
        None,
        &[("egress.csv", costs), ("speed.csv", speeds)],
        &wide,
        expect![[r#"
        egress aws/us-east-1 to gcp/us-central1 perGiB: - -> 0.096637 (egress.csv)
        egress azure/eastus to aws/us-east-1 perGiB: - -> 0.093952 (egress.csv)
        egress gcp/us-central1 to aws/us-east-1 perGiB: - -> 0.128849 (egress.csv)
        3 figures, 1 passed over"#]],
    );
    let route = spec_of(&book).egress.into_iter().find(|route| &*route.from.provider == "aws").unwrap();
    expect!["4639"].assert_eq(&route.mbps.to_string());
    check(
        None,
        &[("throughput-2022-11.csv", speeds)],
        &options(Provider::Aws, ""),
        expect![[r#"
        refused throughput-2022-11.csv:2: asOf: 2022-11-01 is 1388 days old, and the limit is 90: the figure is stale
        refused throughput-2022-11.csv:3: asOf: 2022-11-01 is 1388 days old, and the limit is 90: the figure is stale
        refused throughput-2022-11.csv:4: asOf: 2022-11-01 is 1388 days old, and the limit is 90: the figure is stale
        0 figures, 1 passed over"#]],
    );
}

const OWN: &str = "provider,region,zone,gpuModel,onDemand,spot,interruptionsPerHour,source,asOf\n";

fn own_book() -> Value {
    let rows = format!(
        "{OWN}onprem,berlin,,A100,1.40,,,ours,2026-08-01\naws,us-east-1,,A100,4.00,1.50,0.05,list,2026-08-01\n"
    );
    let files = [PriceFile { name: "own.csv", text: &rows }];
    import(None, "cloud", &files, &options(Provider::Own, "")).unwrap().document
}

#[test]
fn bad_figures_are_named_and_the_last_good_ones_stay() {
    let book = own_book();
    let rows = format!(
        "{OWN}onprem,berlin,,A100,NaN,,,ours,2026-08-10\n\
         aws,us-east-1,,A100,40.00,1.60,,list,2026-08-10\n\
         aws,us-west-2,,A100,-4,,,list,2026-08-10\n\
         aws,us-west-2,,H100,4,inf,,list,2026-08-10\n\
         aws,us-west-2,,L4,,,,list,2026-08-10\n\
         aws,us-west-2,,T4,1e400,,,list,2026-08-10\n\
         aws,us-west-2,,V100,1,,,list,2025-01-01\n\
         aws,us-west-2,,V100,1,,,list,2027-01-01\n\
         aws,us-west-2,,V100,1,,,list,soon\n\
         aws,us-west-2,,V100,99999,,,list,2026-08-10\n\
         aws,us-west-2,,V100\n\
         ,us-west-2,,V100,1,,,list,2026-08-10\n\
         gcp,us-west1,,L4,0.70,0.28,,list,2026-08-10\n"
    );
    let after = check(
        Some(&book),
        &[("feed.csv", &rows)],
        &options(Provider::Own, ""),
        expect![[r#"
        L4 in gcp/us-west1 onDemand: - -> 0.70 (list)
        L4 in gcp/us-west1 spot: - -> 0.28 (list)
        refused feed.csv:2: onDemand: "NaN" is not a decimal number such as 12.34
        refused feed.csv:3: onDemand: $40.00 is more than 3 times away from the last good $4.00; if it is true, import it with a larger --max-jump
        refused feed.csv:4: onDemand: "-4" is negative
        refused feed.csv:5: spot: "inf" is not a decimal number such as 12.34
        refused feed.csv:6: onDemand: is empty
        refused feed.csv:7: onDemand: "1e400" is not a decimal number such as 12.34
        refused feed.csv:8: asOf: 2025-01-01 is 596 days old, and the limit is 90: the figure is stale
        refused feed.csv:9: asOf: 2027-01-01T00:00:00Z lies ahead
        refused feed.csv:10: asOf: "soon" must be a day such as 2026-01-31 or an RFC 3339 time
        refused feed.csv:11: onDemand: $99999.00 is more than $10000: no such price
        refused feed.csv:12: line: has another number of cells than the header
        refused feed.csv:13: provider: is empty
        held A100 in aws/us-east-1
        held A100 in onprem/berlin
        3 figures, 0 passed over"#]],
    );
    let spec = spec_of(&after);
    let held: Vec<_> = spec.compute.iter().filter(|price| price.held.is_some()).collect();
    assert_eq!(held.len(), 2);
    assert!(held.iter().all(|price| price.held.as_ref().is_some_and(|held| held.at == time("2026-08-20"))));
    let old = format!("{OWN}onprem,berlin,,A100,1.30,,,ours,2025-08-11\n");
    let files = [PriceFile { name: "old.csv", text: &old }];
    let unmoved = import(Some(&own_book()), "cloud", &files, &options(Provider::Own, "")).unwrap();
    assert_eq!((unmoved.refused.len(), unmoved.held.len()), (1, 0), "an old file holds nothing newer");
    let good = format!("{OWN}onprem,berlin,,A100,1.50,,,ours,2026-08-11\n");
    let later = check(
        Some(&after),
        &[("feed.csv", &good)],
        &options(Provider::Own, ""),
        expect![[r#"
        A100 in onprem/berlin onDemand: 1.40 -> 1.50 (ours)
        3 figures, 0 passed over"#]],
    );
    assert_eq!(spec_of(&later).compute.iter().filter(|price| price.held.is_some()).count(), 1);
}

#[test]
fn json_of_our_own() {
    let book = own_book();
    let text = r#"{"spec": {"compute": [{"provider": "onprem", "region": "berlin", "gpuModel": "A100", "onDemand": "1.45", "asOf": "2026-08-10"},
        {"provider": "onprem", "region": "berlin", "gpuModel": "H100", "onDemand": -2, "asOf": "2026-08-10"}],
        "egress": [{"from": {"provider": "onprem", "region": "berlin"}, "to": {"provider": "aws", "region": "us-east-1"}, "perGiB": "0", "gbps": "2.5", "asOf": "2026-08-10"}]}}"#;
    check(
        Some(&book),
        &[("own.json", text)],
        &options(Provider::Own, ""),
        expect![[r#"
        A100 in onprem/berlin onDemand: 1.40 -> 1.45 (own.json)
        egress onprem/berlin to aws/us-east-1 perGiB: - -> 0.00 (own.json)
        refused own.json: compute[1]: onDemand: "-2" is negative
        3 figures, 0 passed over"#]],
    );
    check(
        None,
        &[("own.json", "{\"compute\": 1e999}")],
        &options(Provider::Own, ""),
        expect![[r#"
        refused own.json:1: file: is not JSON: number out of range at line 1 column 17
        0 figures, 0 passed over"#]],
    );
    check(
        None,
        &[("x.csv", "a,b\n1,2\n")],
        &options(Provider::Own, ""),
        expect![[r#"
        refused x.csv:1: header: columns a,b are no known shape of own; known are aws: instance_type, region, od_usd_h, spot_usd_h; gcp: machine_type, region, od_usd_h, spot_usd_h; azure: vm_size, region, od_usd_h; egress: src, dest, cost; speed: src_region, dst_region, gbps_sent, gbps_received; own: provider, region, gpuModel, onDemand, or fromProvider, fromRegion, toProvider, toRegion, perGiB
        0 figures, 0 passed over"#]],
    );
}

/// What a feed may hold in a price's place.
fn cell() -> impl Strategy<Value = String> {
    let odd = [
        "", "NaN", "nan", "inf", "-inf", "Infinity", "1e400", "1e-9", "-1", "-0", "0", "+3", "0x10", "1,5",
        "$2", "½", "１",
    ];
    prop_oneof![
        3 => (0..20_000_u32, 0..1000_u32).prop_map(|(whole, part)| format!("{}.{part:03}", whole / 100)),
        2 => proptest::sample::select(odd.to_vec()).prop_map(str::to_owned),
        1 => "[-+0-9.eE]{0,12}",
        1 => any::<String>().prop_map(|text| text.replace([',', '"', '\n', '\r'], " ")),
    ]
}

fn day() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "2026-08-19",
        "2026-08-10",
        "2026-07-30",
        "2026-01-01",
        "2020-01-01",
        "2027-01-01",
        "",
        "never",
    ])
}

fn row() -> impl Strategy<Value = String> {
    (0..3_u8, cell(), cell(), day()).prop_map(|(place, on_demand, spot, as_of)| {
        format!("aws,region-{place},,A100,{on_demand},{spot},,list,{as_of}\n")
    })
}

/// What holds of a book after any feed: every figure is the one that was there, or a good one.
fn is_good(old: Option<&GpuPrice>, new: &GpuPrice, options: &ImportOptions) -> Result<(), String> {
    if old.is_some_and(|old| (old.on_demand, old.spot, old.as_of) == (new.on_demand, new.spot, new.as_of)) {
        return Ok(());
    }
    let amounts = [Some(new.on_demand), new.spot];
    if amounts.into_iter().flatten().any(|amount| amount < MicroUsd(0) || amount > MicroUsd(10_000_000_000)) {
        return Err(format!("not a price: {new:?}"));
    }
    if options.now.since(new.as_of) > options.max_age || new.as_of.0 > options.now.0 + DAY.0 {
        return Err(format!("stale, or ahead: {new:?}"));
    }
    let pairs = old.map(|old| [(Some(old.on_demand), Some(new.on_demand)), (old.spot, new.spot)]);
    for (before, after) in pairs.into_iter().flatten() {
        let (Some(before), Some(after)) = (before, after) else { continue };
        let (more, less) = (before.0.max(after.0), before.0.min(after.0));
        if before.0 > 0 && i128::from(more) * 1000 > i128::from(less) * i128::from(options.max_jump_milli) {
            return Err(format!("jumps from ${before}: {new:?}"));
        }
    }
    Ok(())
}

/// Feeds a book some files one after the other, and checks it after each.
fn feed(feeds: &[Vec<String>]) -> Result<(), String> {
    let options = options(Provider::Own, "");
    let mut book: Option<Value> = None;
    for rows in feeds {
        let text = format!("{OWN}{}", rows.concat());
        let files = [PriceFile { name: "feed.csv", text: &text }];
        let import = import(book.as_ref(), "cloud", &files, &options)?;
        let (before, after) = (book.as_ref().map(spec_of).unwrap_or_default(), spec_of(&import.document));
        let old = |new: &GpuPrice| before.compute.iter().find(|old| old.place == new.place).cloned();
        for new in &after.compute {
            is_good(old(new).as_ref(), new, &options)?;
        }
        if after.compute.len() < before.compute.len() {
            return Err("a figure was lost".to_owned());
        }
        let again = super::import(Some(&import.document), "cloud", &files, &options)?;
        if !again.changes.is_empty() {
            return Err(format!("the same feed changes something again: {:?}", again.changes));
        }
        book = Some(import.document);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_feed_brings_a_bad_price_in(feeds in proptest::collection::vec(proptest::collection::vec(row(), 0..8), 1..5)) {
        #[cfg(not(mutants))]
        prop_assert_eq!(feed(&feeds), Ok(()));
        #[cfg(mutants)]
        let _ = feed(&feeds);
    }

    #[test]
    fn no_text_at_all_is_too_odd(text in any::<String>(), header in any::<bool>()) {
        let text = if header { format!("{OWN}{text}") } else { text };
        let files = [PriceFile { name: "x", text: &text }];
        for provider in [Provider::Aws, Provider::Gcp, Provider::Azure, Provider::Own] {
            prop_assert!(import(None, "cloud", &files, &options(provider, "2026-08-01")).is_ok());
        }
    }
}

/// Each bug that was put in on purpose is found by the same check.
#[cfg(mutants)]
#[test]
fn mutants_are_caught() {
    let row = |price: &str, day: &str| format!("aws,region-0,,A100,{price},,,list,{day}\n");
    for (mutant, feeds) in [
        ("stale_price_taken", vec![vec![row("1.00", "2020-01-01")]]),
        ("price_jump_taken", vec![vec![row("1.00", "2026-08-10")], vec![row("9.00", "2026-08-11")]]),
    ] {
        assert_eq!(feed(&feeds), Ok(()), "without {mutant}");
        muster_model::mutants::choose(Some(mutant));
        let caught = feed(&feeds);
        muster_model::mutants::choose(None);
        assert!(caught.is_err(), "{mutant} was not caught");
    }
}
