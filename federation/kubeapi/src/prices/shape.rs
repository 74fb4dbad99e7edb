//! The shapes of files: by the columns of their header. Columns that are not named here are not looked at.

use std::sync::Arc;

use muster_model::{GpuModel, Location, MicroUsd, TimeMs};

use super::decimal;
use super::instances::gpus_of;
use super::lines::{Line, Lines};
use super::own;
use super::quote::{Offers, Place, Quote, Slot};
use super::{ImportOptions, PriceFile, Provider, Refused};

/// Dollars per GPU and hour, or per GiB, above which a figure is taken for a mistake.
const PRICE_MAX: MicroUsd = MicroUsd(10_000 * 1_000_000);

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// A row per machine type and place: the column of the type, those of its prices.
    Machines { name: &'static str, on_demand: Option<&'static str>, spot: Option<&'static str> },
    /// A row per pair of regions with a price per GB.
    Transfer { to: &'static str },
    /// A row per pair of regions with a measured speed.
    Speed,
    /// The fields of a `PriceBook`.
    OwnCompute,
    /// The fields of a `PriceBook`.
    OwnEgress,
}

impl Shape {
    fn of(lines: &Lines, provider: Provider) -> Option<Shape> {
        if lines.has(&["provider", "region", "gpuModel", "onDemand"]) {
            return Some(Shape::OwnCompute);
        }
        if lines.has(&["fromProvider", "fromRegion", "toProvider", "toRegion", "perGiB"]) {
            return Some(Shape::OwnEgress);
        }
        if lines.has(&["src_region", "dst_region", "gbps_sent", "gbps_received"]) {
            return Some(Shape::Speed);
        }
        if lines.has(&["src", "cost"]) {
            let to = ["dest", "dst"].into_iter().find(|to| lines.has(&[to]))?;
            return Some(Shape::Transfer { to });
        }
        let name = match provider {
            Provider::Aws => "instance_type",
            Provider::Gcp => "machine_type",
            Provider::Azure => "vm_size",
            Provider::Own => return None,
        };
        let first = |columns: [&'static str; 2]| columns.into_iter().find(|column| lines.has(&[column]));
        let (on_demand, spot) = (first(["od_usd_h", "on_demand"]), first(["spot_usd_h", "spot_linux_usd_h"]));
        let is_priced = on_demand.is_some() || spot.is_some();
        (is_priced && lines.has(&[name])).then_some(Shape::Machines { name, on_demand, spot })
    }
}

/// A file being read.
pub struct Reader<'a> {
    /// How errors name it.
    pub file: &'a str,
    /// How to read it.
    pub options: &'a ImportOptions,
    /// When its figures were true, if no row says so.
    pub as_of: Option<TimeMs>,
}

/// Reads a file into what it offers.
pub fn read(file: &PriceFile<'_>, options: &ImportOptions, offers: &mut Offers) {
    let as_of = options.as_of.or_else(|| day_in(file.name));
    let reader = Reader { file: file.name, options, as_of };
    if file.text.trim_start().starts_with(['{', '[']) {
        return own::read_json(&reader, file.text, offers);
    }
    let lines = match Lines::read(file.text) {
        Ok(lines) => lines,
        Err((line, reason)) => return offers.refuse(None, reader.at(line).refused("file", reason)),
    };
    let Some(shape) = Shape::of(&lines, options.provider) else {
        let known = "aws: instance_type, region, od_usd_h, spot_usd_h; gcp: machine_type, region, od_usd_h, spot_usd_h; \
            azure: vm_size, region, od_usd_h; egress: src, dest, cost; speed: src_region, dst_region, gbps_sent, gbps_received; \
            own: provider, region, gpuModel, onDemand, or fromProvider, fromRegion, toProvider, toRegion, perGiB";
        let reason = format!(
            "columns {} are no known shape of {}; known are {known}",
            lines.header(),
            options.provider.as_str()
        );
        return offers.refuse(None, reader.at(1).refused("header", reason));
    };
    for line in lines.rows() {
        if !line.is_whole() {
            offers.refuse(
                None,
                reader.at(line.number).refused("line", "has another number of cells than the header"),
            );
            continue;
        }
        reader.row(shape, &line, offers);
    }
}

impl Reader<'_> {
    /// A place in the file.
    pub fn at(&self, line: usize) -> Place {
        Place { file: self.file.to_owned(), line }
    }

    fn row(&self, shape: Shape, line: &Line<'_>, offers: &mut Offers) {
        match shape {
            Shape::Machines { name, on_demand, spot } => self.machine(line, (name, on_demand, spot), offers),
            Shape::Transfer { to } => self.transfer(line, to, offers),
            Shape::Speed => self.speed(line, offers),
            Shape::OwnCompute => {
                let cell = |name: &str| Some(line.cell(name).to_owned()).filter(|cell| !cell.is_empty());
                own::compute(self, &self.at(line.number), &cell, offers);
            }
            Shape::OwnEgress => {
                let cell = |name: &str| Some(line.cell(name).to_owned()).filter(|cell| !cell.is_empty());
                own::egress(self, &self.at(line.number), &cell, offers);
            }
        }
    }

    fn machine(
        &self,
        line: &Line<'_>,
        (name, on_demand, spot): (&'static str, Option<&'static str>, Option<&'static str>),
        offers: &mut Offers,
    ) {
        let (at, machine) = (self.at(line.number), line.cell(name));
        let Some((model, gpus)) = gpus_of(self.options.provider, machine) else {
            offers.passed_over += 1;
            return;
        };
        let region = match (line.cell("region"), &self.options.region) {
            ("", Some(region)) => region.as_str(),
            (region, _) => region,
        };
        if region.is_empty() {
            let reason = "is empty, and --region names none";
            return offers.refuse(None, at.refused("region", reason));
        }
        if !self.wants(region) {
            offers.passed_over += 1;
            return;
        }
        let zone = Some(line.cell("az_id")).filter(|zone| !zone.is_empty());
        let place = location(self.options.provider.as_str(), region, zone);
        let slot = Slot::Compute(place, GpuModel::new(model));
        let price = |column: Option<&'static str>, may_be_empty: bool| match column {
            // Not offered there.
            Some(column) if may_be_empty && line.cell(column).is_empty() => Ok(None),
            Some(column) => priced(&at, column, line.cell(column), gpus).map(|price| Some((price, column))),
            None => Ok(None),
        };
        let read = || {
            Ok(Quote {
                price: price(on_demand, false)?,
                spot: price(spot, on_demand.is_some())?,
                interruptions_milli_per_hour: None,
                mbps: None,
                source: self.source(None, Some(machine)),
                as_of: self.dated(&at, None)?,
                at: at.clone(),
            })
        };
        put(offers, slot, read());
    }

    fn transfer(&self, line: &Line<'_>, to: &'static str, offers: &mut Offers) {
        let at = self.at(line.number);
        let Some(slot) = self.pair(line.cell("src"), line.cell(to)) else {
            offers.passed_over += 1;
            return;
        };
        let read = || {
            let amount = decimal::parse(line.cell("cost")).and_then(decimal::Decimal::per_gib);
            let price = amount.and_then(bounded).map_err(|reason| at.refused("cost", reason))?;
            Ok(self.egress_quote(&at, Some((price, "cost")), None, self.dated(&at, None)?))
        };
        put(offers, slot, read());
    }

    fn speed(&self, line: &Line<'_>, offers: &mut Offers) {
        let at = self.at(line.number);
        let tiers = [line.cell("src_tier"), line.cell("dst_tier")];
        let slot = self.pair(line.cell("src_region"), line.cell("dst_region"));
        // A pair is measured over both network tiers of a cloud; the better one is what is priced.
        let (Some(slot), true) = (slot, tiers.iter().all(|tier| matches!(*tier, "" | "PREMIUM"))) else {
            offers.passed_over += 1;
            return;
        };
        let speed = |column: &'static str| {
            let parsed = decimal::parse(line.cell(column)).map(decimal::Decimal::thousandths);
            let parsed = parsed.and_then(|mbps| if mbps == 0 { Err("is 0".to_owned()) } else { Ok(mbps) });
            parsed.map(|mbps| (mbps, column)).map_err(|reason| at.refused(column, reason))
        };
        let read = || {
            let slower = speed("gbps_sent")?.min(speed("gbps_received")?);
            Ok(self.egress_quote(&at, None, Some(slower), self.dated(&at, None)?))
        };
        put(offers, slot, read());
    }

    /// A figure of a pair of regions.
    pub fn egress_quote(
        &self,
        at: &Place,
        price: Option<(MicroUsd, &'static str)>,
        mbps: Option<(u64, &'static str)>,
        as_of: (TimeMs, &'static str),
    ) -> Quote {
        let source = self.source(None, None);
        Quote { at: at.clone(), price, spot: None, interruptions_milli_per_hour: None, mbps, source, as_of }
    }

    /// `aws:us-east-1` and `gcp:us-west1-a` as regions; names without a provider are of the provider that was named.
    fn pair(&self, from: &str, to: &str) -> Option<Slot> {
        let region = |text: &str| {
            let (provider, name) = text.split_once(':').unwrap_or((self.options.provider.as_str(), text));
            let name = if provider == "gcp" { without_zone(name) } else { name };
            let is_region = !name.is_empty() && name != "internet" && !provider.is_empty();
            is_region.then(|| location(provider, name, None))
        };
        let (from, to) = (region(from)?, region(to)?);
        (self.wants(&from.region) && self.wants(&to.region)).then_some(Slot::Egress(from, to))
    }

    /// Whether figures of this region are asked for.
    pub fn wants(&self, region: &str) -> bool {
        self.options.only.is_empty() || self.options.only.iter().any(|only| only == region)
    }

    /// Where a figure is from, for people.
    pub fn source(&self, own: Option<&str>, machine: Option<&str>) -> Arc<str> {
        let name = own.map(str::to_owned).or_else(|| self.options.source.clone());
        let name = name.unwrap_or_else(|| self.file.rsplit('/').next().unwrap_or(self.file).to_owned());
        match machine {
            Some(machine) => format!("{name}: {machine}").into(),
            None => name.into(),
        }
    }

    /// When a figure was true; refused when nobody knows, when it is stale, and when it lies ahead.
    pub fn dated(&self, at: &Place, own: Option<TimeMs>) -> Result<(TimeMs, &'static str), Refused> {
        let ImportOptions { now, max_age, .. } = self.options;
        let as_of = own.or(self.as_of).ok_or_else(|| {
            at.refused(
                "asOf",
                "is not there: name the day of these figures with --as-of, such as --as-of 2026-07-20",
            )
        })?;
        if as_of.0 > now.0.saturating_add(24 * 3600 * 1000) {
            return Err(at.refused("asOf", format!("{as_of} lies ahead")));
        }
        if now.since(as_of) > *max_age && !muster_model::mutant!(stale_price_taken) {
            let days = |ms: u64| ms / (24 * 3600 * 1000);
            let (age, limit) = (days(now.since(as_of).0), days(max_age.0));
            let reason =
                format!("{} is {age} days old, and the limit is {limit}: the figure is stale", day(as_of));
            return Err(Refused { as_of: Some(as_of), ..at.refused("asOf", reason) });
        }
        Ok((as_of, "asOf"))
    }
}

/// Offers what was read, or notes why it was not.
pub fn put(offers: &mut Offers, slot: Slot, read: Result<Quote, Refused>) {
    match read {
        Ok(quote) => offers.offer(slot, quote),
        Err(refused) => offers.refuse(Some(slot), refused),
    }
}

/// A machine's price for one of its GPUs.
pub fn priced(at: &Place, column: &'static str, text: &str, gpus: u32) -> Result<MicroUsd, Refused> {
    let price = decimal::parse(text).and_then(|amount| amount.share(gpus)).and_then(bounded);
    let price = price.map_err(|reason| at.refused(column, reason))?;
    // Nobody rents a GPU out for nothing.
    if price == MicroUsd(0) { Err(at.refused(column, "is 0")) } else { Ok(price) }
}

/// A price that can be one.
pub fn bounded(price: MicroUsd) -> Result<MicroUsd, String> {
    if price > PRICE_MAX { Err(format!("${price} is more than $10000: no such price")) } else { Ok(price) }
}

/// A place.
pub fn location(provider: &str, region: &str, zone: Option<&str>) -> Location {
    Location { zone: zone.map(Into::into), ..Location::region(provider, region) }
}

/// `us-west1-a` is in `us-west1`.
fn without_zone(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((region, zone)) if zone.len() == 1 && region.ends_with(|c: char| c.is_ascii_digit()) => region,
        _ => name,
    }
}

/// The day of a time, `2026-07-20`.
fn day(time: TimeMs) -> String {
    time.to_string().split('T').next().unwrap_or_default().to_owned()
}

/// The day that a file name holds, as `2026-07-20` or `2026-07`, which means its first day.
fn day_in(name: &str) -> Option<TimeMs> {
    let name = name.rsplit('/').next().unwrap_or(name);
    let is_date = |text: &&str| {
        text.bytes()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() })
    };
    let windows = |length: usize| (0..name.len()).filter_map(move |at| name.get(at..at + length));
    let long = windows(10).find(is_date).map(str::to_owned);
    let short = || windows(7).find(is_date).map(|month| format!("{month}-01"));
    let date = long.or_else(short)?;
    crate::kinds::parse_time(&format!("{date}T00:00:00Z")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_may_hold_its_day() {
        for (name, want) in [
            ("x/aws_us-east-1_ondemand_2026-07.csv", Some("2026-07-01T00:00:00Z")),
            ("prices-2026-08-03.csv", Some("2026-08-03T00:00:00Z")),
            ("prices.csv", None),
            ("us-east-1.csv", None),
            ("2026-13.csv", None),
        ] {
            assert_eq!(day_in(name).map(|time| time.to_string()).as_deref(), want, "{name}");
        }
        assert_eq!(without_zone("us-west1-a"), "us-west1");
        assert_eq!(without_zone("us-west1"), "us-west1");
    }
}
