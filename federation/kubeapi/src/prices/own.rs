//! Figures of one's own: the fields of a `PriceBook`, as columns or as JSON.

use muster_model::{GpuModel, MicroUsd, TimeMs};
use serde_json::Value;

use super::quote::{Offers, Place, Quote, Slot};
use super::shape::{Reader, bounded, location, put};
use super::{Refused, decimal};
use crate::kinds::{parse_time, quantity};

/// Gives a field's text; `None` if it is not there or empty.
type Cells<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A row of `provider, region, zone, gpuModel, onDemand, spot, interruptionsPerHour, source, asOf`.
pub fn compute(reader: &Reader<'_>, at: &Place, cell: Cells<'_>, offers: &mut Offers) {
    let named = |field: &str| cell(field).ok_or_else(|| at.refused(field, "is empty"));
    let slot = || {
        let (provider, region, model) = (named("provider")?, named("region")?, named("gpuModel")?);
        let place = location(&provider, &region, cell("zone").as_deref());
        Ok::<Slot, Refused>(Slot::Compute(place, GpuModel::new(model)))
    };
    let slot = match slot() {
        Ok(slot) => slot,
        Err(refused) => return offers.refuse(None, refused),
    };
    if !cell("region").is_some_and(|region| reader.wants(&region)) {
        offers.passed_over += 1;
        return;
    }
    let read = || {
        let spot = cell("spot").map(|text| amount(at, "spot", &text)).transpose()?;
        let interruptions = cell("interruptionsPerHour").map(|text| milli(at, "interruptionsPerHour", &text));
        Ok(Quote {
            at: at.clone(),
            price: Some((amount(at, "onDemand", &cell("onDemand").unwrap_or_default())?, "onDemand")),
            spot: spot.map(|price| (price, "spot")),
            interruptions_milli_per_hour: interruptions.transpose()?,
            mbps: None,
            source: reader.source(cell("source").as_deref(), None),
            as_of: reader.dated(at, as_of(at, cell)?)?,
        })
    };
    put(offers, slot, read());
}

/// A row of `fromProvider, fromRegion, toProvider, toRegion, perGiB, gbps, source, asOf`.
pub fn egress(reader: &Reader<'_>, at: &Place, cell: Cells<'_>, offers: &mut Offers) {
    let named = |field: &str| cell(field).ok_or_else(|| at.refused(field, "is empty"));
    let slot = || {
        let from = location(&named("fromProvider")?, &named("fromRegion")?, None);
        Ok::<Slot, Refused>(Slot::Egress(from, location(&named("toProvider")?, &named("toRegion")?, None)))
    };
    let slot = match slot() {
        Ok(slot) => slot,
        Err(refused) => return offers.refuse(None, refused),
    };
    let read = || {
        let speed = cell("gbps").map(|text| milli(at, "gbps", &text)).transpose()?;
        if speed == Some(0) {
            return Err(at.refused("gbps", "must be greater than 0"));
        }
        Ok(Quote {
            price: Some((amount(at, "perGiB", &cell("perGiB").unwrap_or_default())?, "perGiB")),
            mbps: speed.map(|mbps| (mbps, "gbps")),
            source: reader.source(cell("source").as_deref(), None),
            ..reader.egress_quote(at, None, None, reader.dated(at, as_of(at, cell)?)?)
        })
    };
    put(offers, slot, read());
}

/// A `PriceBook`, its spec, or a list of the entries of one of its lists.
pub fn read_json(reader: &Reader<'_>, text: &str, offers: &mut Offers) {
    let whole: Value = match serde_json::from_str(text) {
        Ok(whole) => whole,
        Err(error) => {
            let place = reader.at(error.line());
            return offers.refuse(None, place.refused("file", format!("is not JSON: {error}")));
        }
    };
    let spec = whole.get("spec").unwrap_or(&whole);
    let list = |name: &str| spec.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let (prices, routes) = (list("compute"), list("egress"));
    if prices.is_empty() && routes.is_empty() {
        let reason = "has neither compute nor egress; give a PriceBook, or its spec";
        return offers.refuse(None, reader.at(0).refused("file", reason));
    }
    for (index, item) in prices.iter().enumerate() {
        let at = entry(reader, "compute", index);
        compute(reader, &at, &|field: &str| field_text(item, field), offers);
    }
    for (index, item) in routes.iter().enumerate() {
        let at = entry(reader, "egress", index);
        let cell = |field: &str| match field {
            "fromProvider" => field_text(&item["from"], "provider"),
            "fromRegion" => field_text(&item["from"], "region"),
            "toProvider" => field_text(&item["to"], "provider"),
            "toRegion" => field_text(&item["to"], "region"),
            other => field_text(item, other),
        };
        egress(reader, &at, &cell, offers);
    }
}

/// JSON has no lines that a reader keeps: an entry is named by its place in the list.
fn entry(reader: &Reader<'_>, list: &str, index: usize) -> Place {
    Place { file: format!("{}: {list}[{index}]", reader.file), line: 0 }
}

/// A field's text. Numbers are taken by their digits, as they stand in the file if they are short.
fn field_text(item: &Value, field: &str) -> Option<String> {
    match &item[field] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        other => Some(other.to_string()),
    }
}

/// An amount that may be 0: what is owned may cost nothing.
fn amount(at: &Place, field: &'static str, text: &str) -> Result<MicroUsd, Refused> {
    let amount = decimal::parse(text).and_then(|amount| amount.share(1)).and_then(bounded);
    amount.map_err(|reason| at.refused(field, reason))
}

fn milli(at: &Place, field: &'static str, text: &str) -> Result<u64, Refused> {
    quantity::milli(text).map_err(|error| at.refused(field, error.to_string()))
}

fn as_of(at: &Place, cell: Cells<'_>) -> Result<Option<TimeMs>, Refused> {
    let Some(text) = cell("asOf") else { return Ok(None) };
    let time = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.clone() };
    let rule = format!("{text:?} must be a day such as 2026-01-31 or an RFC 3339 time");
    parse_time(&time).map(Some).map_err(|_| at.refused("asOf", rule))
}
