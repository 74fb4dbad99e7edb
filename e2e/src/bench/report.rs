//! The figures of a benchmark, as its JSON shows them. The shape is a contract: others read it.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

use super::figures::median;
use super::machine::{self, Machine};

/// Who was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Us.
    Muster,
    /// What people use today.
    Peer,
    /// What could be reached at best.
    Limit,
}

/// One figure of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// Whose.
    pub subject: Role,
    /// Under which circumstances.
    pub case: String,
    /// What.
    pub metric: String,
    /// In which unit.
    pub unit: &'static str,
    /// How much.
    #[serde(serialize_with = "rounded")]
    pub value: f64,
}

/// Median, smallest and largest of the runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one.
    #[serde(serialize_with = "rounded")]
    pub median: f64,
    /// The smallest.
    #[serde(serialize_with = "rounded")]
    pub min: f64,
    /// The largest.
    #[serde(serialize_with = "rounded")]
    pub max: f64,
}

/// One metric of one case, for all who were measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Under which circumstances.
    pub case: String,
    /// What.
    pub metric: String,
    /// In which unit.
    pub unit: &'static str,
    /// Us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muster: Option<Spread>,
    /// What people use today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<Spread>,
    /// What could be reached at best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Spread>,
    /// Our median by theirs.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_rounded")]
    pub ratio: Option<f64>,
}

/// All metrics of all cases, in the order in which they were measured first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Summary(pub Vec<Line>);

/// A figure that is wanted, and whether it was reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Target {
    /// Which.
    pub name: String,
    /// `>= 3`, `<= 0.8`, `< peer`.
    pub want: String,
    /// The figure.
    #[serde(serialize_with = "rounded")]
    pub got: f64,
    /// Whether it is as wanted.
    pub met: bool,
}

/// A bound on a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// No less than this.
    AtLeast(f64),
    /// No more than this.
    AtMost(f64),
    /// Less than this.
    Below(f64),
}

/// What a benchmark found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Its name.
    pub bench: &'static str,
    /// The commit it was built from, with `-dirty` if the checkout differs from it.
    pub commit: String,
    /// Where it ran.
    pub machine: Machine,
    /// Every figure of every run.
    pub runs: Vec<Sample>,
    /// Their medians.
    pub summary: Summary,
    /// What was wanted.
    pub targets: Vec<Target>,
}

impl Report {
    /// The report of these samples on this machine.
    pub fn new(bench: &'static str, runs: Vec<Sample>, summary: Summary, targets: Vec<Target>) -> Report {
        Report { bench, commit: machine::commit(), machine: Machine::here(), runs, summary, targets }
    }
}

impl Sample {
    /// A figure.
    pub fn new(subject: Role, case: &str, metric: &str, unit: &'static str, value: f64) -> Sample {
        Sample { subject, case: case.to_owned(), metric: metric.to_owned(), unit, value }
    }
}

impl Spread {
    fn of(values: &[f64]) -> Option<Spread> {
        let min = values.iter().copied().min_by(f64::total_cmp)?;
        let max = values.iter().copied().max_by(f64::total_cmp)?;
        Some(Spread { median: median(values), min, max })
    }
}

impl Summary {
    /// Medians of samples.
    pub fn of(samples: &[Sample]) -> Summary {
        let mut seen = BTreeSet::new();
        let first = samples.iter().filter(|sample| seen.insert((&sample.case, &sample.metric)));
        Summary(first.map(|sample| Line::of(sample, samples)).collect())
    }

    /// The line of a metric, if it was measured.
    pub fn line(&self, case: &str, metric: &str) -> Option<&Line> {
        self.0.iter().find(|line| line.case == case && line.metric == metric)
    }

    /// A target on our median.
    pub fn median_target(&self, case: &str, metric: &str, bound: Bound) -> Option<Target> {
        let line = self.line(case, metric)?;
        Some(Target::new(&format!("{case} {metric}, {}", line.unit), bound, line.muster?.median))
    }

    /// A target on the worst of our runs.
    pub fn worst_target(&self, case: &str, metric: &str, bound: Bound) -> Option<Target> {
        let line = self.line(case, metric)?;
        Some(Target::new(&format!("{case} {metric}, {}, worst run", line.unit), bound, line.muster?.max))
    }

    /// A target on our median by theirs.
    pub fn ratio_target(&self, case: &str, metric: &str, bound: Bound) -> Option<Target> {
        let ratio = self.line(case, metric)?.ratio?;
        Some(Target::new(&format!("{case} {metric}, ours / theirs"), bound, ratio))
    }
}

impl Line {
    fn of(first: &Sample, samples: &[Sample]) -> Line {
        let spread = |subject| {
            let same = samples.iter().filter(|sample| {
                sample.subject == subject && sample.case == first.case && sample.metric == first.metric
            });
            Spread::of(&same.map(|sample| sample.value).collect::<Vec<f64>>())
        };
        let (muster, peer) = (spread(Role::Muster), spread(Role::Peer));
        let ratio = muster.zip(peer).filter(|(_, peer)| peer.median != 0.0).map(|(a, b)| a.median / b.median);
        let (case, metric, unit) = (first.case.clone(), first.metric.clone(), first.unit);
        Line { case, metric, unit, muster, peer, limit: spread(Role::Limit), ratio }
    }
}

impl Target {
    /// Judges a figure.
    pub fn new(name: &str, bound: Bound, got: f64) -> Target {
        let (want, met) = match bound {
            Bound::AtLeast(least) => (format!(">= {least}"), got >= least),
            Bound::AtMost(most) => (format!("<= {most}"), got <= most),
            Bound::Below(limit) => (format!("< {limit}"), got < limit),
        };
        Target { name: name.to_owned(), want, got, met }
    }
}

/// Three decimals are more than any of these figures is good for.
fn rounded<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((value * 1000.0).round() / 1000.0)
}

fn maybe_rounded<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    rounded(&value.unwrap_or_default(), serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_medians_and_a_ratio_in_the_order_of_measurement() {
        let sample = |subject, metric, value| Sample::new(subject, "c32", metric, "1/s", value);
        let samples = [
            sample(Role::Muster, "rate", 30.0),
            sample(Role::Peer, "rate", 10.0),
            sample(Role::Muster, "rate", 50.0),
            sample(Role::Muster, "errors", 0.0),
            sample(Role::Muster, "rate", 40.0),
        ];
        let summary = Summary::of(&samples);
        let metrics: Vec<&str> = summary.0.iter().map(|line| line.metric.as_str()).collect();
        assert_eq!(metrics, ["rate", "errors"]);
        let rate = summary.line("c32", "rate").expect("measured");
        assert_eq!(rate.muster, Some(Spread { median: 40.0, min: 30.0, max: 50.0 }));
        assert_eq!(rate.ratio, Some(4.0));
        assert!(summary.ratio_target("c32", "rate", Bound::AtLeast(3.0)).is_some_and(|target| target.met));
        assert!(summary.worst_target("c32", "rate", Bound::Below(50.0)).is_some_and(|target| !target.met));
        assert_eq!(
            summary.ratio_target("c32", "errors", Bound::AtMost(0.0)),
            None,
            "theirs was not measured"
        );
    }

    #[test]
    fn the_json_is_what_others_read() {
        let runs = vec![Sample::new(Role::Muster, "c1", "p50", "ms", 1.23456)];
        let summary = Summary::of(&runs);
        let targets = vec![Target::new("c1 p50, ms", Bound::Below(2.0), 1.23456)];
        let value =
            serde_json::to_value(Report::new("create", runs, summary, targets)).expect("it serialises");
        let sample = serde_json::json!({"subject": "muster", "case": "c1", "metric": "p50", "unit": "ms", "value": 1.235});
        assert_eq!(value["runs"][0], sample);
        let spread = serde_json::json!({"median": 1.235, "min": 1.235, "max": 1.235});
        assert_eq!(value["summary"][0]["muster"], spread);
        let target = serde_json::json!({"name": "c1 p50, ms", "want": "< 2", "got": 1.235, "met": true});
        assert_eq!(value["targets"][0], target);
        assert!(value["machine"]["cores"].as_u64().is_some_and(|cores| cores > 0));
        assert!(value["machine"]["memory"].as_u64().is_some_and(|bytes| bytes > 0));
    }
}
