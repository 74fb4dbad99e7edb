//! `muster get -w`: what is there, then what changes, until Ctrl-C.

use http::{Method, StatusCode};
use serde_json::Value;

use super::get::{Listing, nothing, paint_status};
use super::grid::Widths;
use super::output::{self, Format};
use super::screen;
use super::server_table::ServerTable;
use super::stream::{self, Lines};
use crate::client::Api;
use crate::exit::{Exit, Failure};

/// Prints a list and then each change. Only an error ends it.
pub async fn run(api: &Api, listing: &Listing) -> anyhow::Result<Exit> {
    let mut printer = Printer { listing, server: None, widths: Widths::default() };
    loop {
        let mut list =
            api.request_as(Method::GET, &listing.path([]), listing.accept(), None).await?.json()?;
        let mut version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        printer.print_list(&mut list)?;
        while follow(api, listing, &mut version, &mut printer).await? == Ended::ByTime {}
    }
}

/// How one request for a watch ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The server closed it: go on where it stopped.
    ByTime,
    /// The server no longer has what came after: list again.
    TooOld,
}

async fn follow(
    api: &Api,
    listing: &Listing,
    version: &mut String,
    printer: &mut Printer<'_>,
) -> anyhow::Result<Ended> {
    let only = listing.name.as_ref().map(|name| format!("metadata.name={name}"));
    let all =
        Listing { name: None, field_selector: only.or(listing.field_selector.clone()), ..listing.clone() };
    let more = [
        ("watch", "true".to_owned()),
        ("allowWatchBookmarks", "true".to_owned()),
        ("resourceVersion", version.clone()),
    ];
    let path = all.path(more.map(|(name, value)| (name, Some(value))));
    let mut lines = match stream::open(api, &path, listing.accept()).await? {
        Ok(body) => Lines::new(body),
        Err(refusal) if refusal.status == StatusCode::GONE => return Ok(Ended::TooOld),
        Err(refusal) => return Err(refusal.failure().into()),
    };
    while let Some(line) = lines.next().await {
        let event: Value =
            serde_json::from_slice(&line).map_err(|error| Failure::unreachable(format!("watch: {error}")))?;
        let object = &event["object"];
        match event["type"].as_str().unwrap_or_default() {
            "ERROR" if object["code"] == 410 => return Ok(Ended::TooOld),
            "ERROR" => {
                return Err(Failure::negative(
                    object["message"].as_str().unwrap_or("watch failed").to_owned(),
                )
                .into());
            }
            "BOOKMARK" => {}
            _ => printer.print(object)?,
        }
        if let Some(seen) = version_of(object) {
            *version = seen;
        }
    }
    Ok(Ended::ByTime)
}

/// The version of an object, or of the object in a Table's only row.
fn version_of(object: &Value) -> Option<String> {
    let of = |object: &Value| {
        object["metadata"]["resourceVersion"]
            .as_str()
            .filter(|version| !version.is_empty())
            .map(str::to_owned)
    };
    of(&object["rows"][0]["object"]).or_else(|| of(object))
}

/// Prints objects in the format that was asked for, and remembers what a table looks like.
struct Printer<'a> {
    listing: &'a Listing,
    server: Option<ServerTable>,
    widths: Widths,
}

impl Printer<'_> {
    fn print_list(&mut self, list: &mut Value) -> anyhow::Result<()> {
        if self.listing.is_table() {
            if list["rows"].as_array().is_none_or(Vec::is_empty) {
                eprintln!("{}; waiting for some", nothing(self.listing));
            }
            return self.print(list);
        }
        if self.listing.name.is_some() {
            return self.print(list);
        }
        output::items(&self.listing.kind, list).iter().try_for_each(|item| self.print(item))
    }

    fn print(&mut self, object: &Value) -> anyhow::Result<()> {
        let text = match self.listing.output {
            None | Some(Format::Wide) => self.table(object),
            Some(Format::Json) => output::to_json(object),
            Some(Format::Yaml) => format!("---\n{}", output::to_yaml(object)?),
            Some(Format::Name) => format!("{}\n", output::full_name(&self.listing.kind, object)),
        };
        Ok(screen::print(&text)?)
    }

    /// Rows of a Table; the first one that has any brings the columns and the header.
    fn table(&mut self, table: &Value) -> String {
        if table["rows"].as_array().is_none_or(Vec::is_empty) {
            return String::new();
        }
        let brings_columns = table["columnDefinitions"].as_array().is_some_and(|columns| !columns.is_empty());
        let is_first = self.server.is_none();
        if is_first && brings_columns {
            self.server = Some(ServerTable::new(table, self.listing.show.clone()));
        }
        let Some(server) = &self.server else { return String::new() };
        let mut rows = server.rows(table);
        let header = (is_first && self.listing.headers).then(|| server.header());
        header.iter().chain(&rows).for_each(|row| self.widths.fit(row));
        paint_status(server, &mut rows);
        header.iter().chain(&rows).map(|row| self.widths.line(row)).collect()
    }
}
