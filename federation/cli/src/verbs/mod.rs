//! Client verbs: what people ask of a hub. Each file is one verb; the others are what verbs share.
//!
//! ```text
//!  arguments --hub--> Api --kinds (discovery)--> paths --request--> answer --grid|output--> text
//! ```
//!
//! Nothing is decided here: the hub answers, this prints. Columns, prices and reasons are the server's; what is computed
//! here is only the difference that `apply` sends.

mod age;
mod apply;
mod ask;
mod audit;
mod burst;
mod ca;
mod cancel;
mod chaos;
mod cluster;
mod completion;
mod conversation;
mod cost;
mod dataset;
mod delete;
mod describe;
mod documents;
mod events;
mod exec;
mod follow;
mod gameday;
mod gameday_text;
mod get;
mod gone;
mod grid;
mod hub;
mod inspect;
mod join;
mod kinds;
mod kubeconfig;
mod logs;
mod merge;
mod money;
mod output;
mod pick;
mod plan;
mod plan_table;
mod prices;
mod queue;
mod replicas;
pub(crate) mod screen;
mod secrets;
mod server_table;
mod status;
mod stream;
mod taint;
mod terminal;
mod top;
mod url;
mod verb;
mod warnings;
mod watch;
mod why;

pub use documents::{collection_path, documents, yaml_error};
pub use logs::parse_duration;
pub use verb::{Verb, run};
