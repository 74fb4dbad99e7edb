//! `muster get`: lists and objects, in the columns that the hub gives.

use clap::Args;
use http::Method;
use serde_json::Value;

use super::grid::Widths;
use super::hub::HubArgs;
use super::kinds::{Kinds, ServedKind};
use super::output::{self, Format};
use super::pick::Pick;
use super::screen::{self, Paint};
use super::server_table::{ACCEPT, ServerTable, Show};
use super::url::{escape, with_query};
use super::{warnings, watch};
use crate::client::Api;
use crate::exit::{Exit, Failure};

/// Arguments of `muster get`.
#[derive(Args)]
pub struct GetArgs {
    /// KIND, KIND NAME..., or KIND/NAME...
    #[arg(required = true, value_name = "KIND[/NAME]")]
    what: Vec<String>,
    /// In all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Only objects with these labels, such as `team=a,!old`
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Only objects with these fields, such as `metadata.name=a`
    #[arg(long, value_name = "SELECTOR")]
    field_selector: Option<String>,
    /// Stay and print what changes
    #[arg(short, long)]
    watch: bool,
    /// How to print
    #[arg(short, long, value_enum)]
    output: Option<Format>,
    /// Leave out the header
    #[arg(long)]
    no_headers: bool,
    #[command(flatten)]
    hub: HubArgs,
}

/// Which objects are asked for, and how they are shown.
#[derive(Clone)]
pub struct Listing {
    /// The kind.
    pub kind: ServedKind,
    /// One object; `None` for all.
    pub name: Option<String>,
    /// Namespace; `None` for all.
    pub namespace: Option<String>,
    /// Labels.
    pub selector: Option<String>,
    /// Fields.
    pub field_selector: Option<String>,
    /// How to print.
    pub output: Option<Format>,
    /// Whether a table has a header.
    pub headers: bool,
    /// Which columns.
    pub show: Show,
}

impl Listing {
    /// The path of what is asked for, with more parameters.
    pub fn path<'a>(&self, more: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
        let collection = self.kind.collection(self.namespace.as_deref());
        let path =
            self.name.as_ref().map_or(collection.clone(), |name| format!("{collection}/{}", escape(name)));
        let own = [("labelSelector", self.selector.clone()), ("fieldSelector", self.field_selector.clone())];
        with_query(&path, own.into_iter().chain(more))
    }

    /// What the hub is asked to answer with.
    pub fn accept(&self) -> &'static str {
        if self.is_table() { ACCEPT } else { "application/json" }
    }

    /// Whether the answer is printed as the hub's Table.
    pub fn is_table(&self) -> bool {
        matches!(self.output, None | Some(Format::Wide))
    }
}

/// Prints what is asked for.
pub async fn run(args: GetArgs) -> anyhow::Result<Exit> {
    let api = args.hub.api()?;
    let kinds = Kinds::ask(&api).await?;
    let picks = Pick::parse(&kinds, &args.what)?;
    let listings = listings(&args, &api, picks)?;
    if args.watch {
        let [listing] = listings.as_slice() else {
            return Err(Failure::usage("--watch: one kind, and one name at most").into());
        };
        return watch::run(&api, listing).await;
    }
    if listings[0].is_table() { tables(&api, &listings).await } else { objects(&api, &listings).await }
}

fn listings(args: &GetArgs, api: &Api, picks: Vec<Pick>) -> Result<Vec<Listing>, Failure> {
    let several_kinds = picks.iter().any(|pick| pick.kind != picks[0].kind);
    if picks.iter().any(|pick| pick.name.is_some()) {
        if args.all_namespaces {
            return Err(Failure::usage("-A: a name is meant in one namespace; give -n instead"));
        }
        if args.selector.is_some() || args.field_selector.is_some() {
            return Err(Failure::usage("a selector and a name cannot both choose; leave one out"));
        }
    }
    let listing = |pick: Pick| Listing {
        namespace: (!args.all_namespaces).then(|| api.namespace.clone()),
        selector: args.selector.clone(),
        field_selector: args.field_selector.clone(),
        output: args.output,
        headers: !args.no_headers,
        show: Show {
            wide: args.output == Some(Format::Wide),
            namespace: args.all_namespaces && pick.kind.namespaced,
            prefix: if several_kinds { format!("{}/", pick.kind.qualified()) } else { String::new() },
        },
        name: pick.name,
        kind: pick.kind,
    };
    Ok(picks.into_iter().map(listing).collect())
}

/// Tables, one per kind. An object that is not there does not hide the others.
async fn tables(api: &Api, listings: &[Listing]) -> anyhow::Result<Exit> {
    let mut failed: Option<Failure> = None;
    let mut printed = false;
    for of_kind in listings.chunk_by(|a, b| a.kind == b.kind) {
        let mut server: Option<ServerTable> = None;
        let mut rows = Vec::new();
        for listing in of_kind {
            let reply = api.request_as(Method::GET, &listing.path([]), listing.accept(), None).await?;
            warnings::print(&reply);
            match reply.json() {
                Ok(table) => {
                    let server = server.get_or_insert_with(|| ServerTable::new(&table, listing.show.clone()));
                    rows.extend(server.rows(&table));
                }
                Err(failure) => {
                    if let Some(earlier) = failed.replace(failure) {
                        eprintln!("muster: {earlier}");
                    }
                }
            }
        }
        let Some(server) = server.filter(|_| !rows.is_empty()) else { continue };
        let gap = if printed { "\n" } else { "" };
        screen::print(&format!("{gap}{}", table_text(&server, rows, of_kind[0].headers)))?;
        printed = true;
    }
    if let Some(failure) = failed {
        return Err(failure.into());
    }
    if !printed {
        match listings {
            [listing] => eprintln!("{}", nothing(listing)),
            _ => eprintln!("nothing is there"),
        }
    }
    Ok(Exit::Done)
}

/// What is said instead of an empty table.
pub fn nothing(listing: &Listing) -> String {
    let selected = listing.selector.is_some() || listing.field_selector.is_some();
    let such = if selected { "match" } else { "are there" };
    match &listing.namespace {
        Some(namespace) if listing.kind.namespaced => {
            format!("no {} {such} in namespace {namespace}; -A looks in all", listing.kind.plural)
        }
        _ => format!("no {} {such}", listing.kind.plural),
    }
}

fn table_text(server: &ServerTable, mut rows: Vec<Vec<String>>, headers: bool) -> String {
    paint_status(server, &mut rows);
    let header = headers.then(|| server.header());
    let lines: Vec<_> = header.into_iter().chain(rows).collect();
    let mut widths = Widths::default();
    lines.iter().for_each(|line| widths.fit(line));
    lines.iter().map(|line| widths.line(line)).collect()
}

/// Colours the column that says how an object is.
pub fn paint_status(server: &ServerTable, rows: &mut [Vec<String>]) {
    let paint = Paint::stdout();
    for position in ["STATUS", "PHASE", "READY"].into_iter().filter_map(|title| server.position(title)) {
        for row in rows.iter_mut() {
            row[position] = paint.word(&row[position]);
        }
    }
}

async fn objects(api: &Api, listings: &[Listing]) -> anyhow::Result<Exit> {
    let mut found = Vec::new();
    for listing in listings {
        let reply = api.request(Method::GET, &listing.path([]), None).await?;
        warnings::print(&reply);
        let mut answer = reply.json()?;
        let items =
            if listing.name.is_some() { vec![answer] } else { output::items(&listing.kind, &mut answer) };
        found.extend(items.into_iter().map(|item| (&listing.kind, item)));
    }
    let is_single = listings.len() == 1 && listings[0].name.is_some();
    match listings[0].output {
        Some(Format::Name) => {
            let lines: String =
                found.iter().map(|(kind, item)| format!("{}\n", output::full_name(kind, item))).collect();
            screen::print(&lines)?;
        }
        format => {
            let mut objects: Vec<Value> = found.into_iter().map(|(_, item)| item).collect();
            let object = if is_single { objects.remove(0) } else { output::list_of(objects) };
            let is_yaml = format == Some(Format::Yaml);
            screen::print(&if is_yaml { output::to_yaml(&object)? } else { output::to_json(&object) })?;
        }
    }
    Ok(Exit::Done)
}
