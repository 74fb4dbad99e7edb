//! `muster dataset digest`: what a folder's files are, for `spec.digest` of a Dataset. Nothing is asked of the hub.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use muster_member_agent::Manifest;
use serde_json::json;

use super::output::DataFormat;
use super::screen;
use crate::exit::{Exit, Failure};

/// Arguments of `muster dataset`.
#[derive(Args)]
pub struct DatasetArgs {
    #[command(subcommand)]
    command: DatasetCommand,
}

#[derive(Subcommand)]
enum DatasetCommand {
    /// Read a folder and print the digest and size of its files
    Digest(DigestArgs),
}

#[derive(Args)]
struct DigestArgs {
    /// The folder of one version
    folder: PathBuf,
    /// Print data instead of two lines
    #[arg(short, long)]
    output: Option<DataFormat>,
}

/// Runs `muster dataset`.
pub async fn run(args: DatasetArgs) -> anyhow::Result<Exit> {
    let DatasetCommand::Digest(DigestArgs { folder, output }) = args.command;
    let read = tokio::task::spawn_blocking(move || Manifest::of_folder(&folder)).await?;
    let manifest = read.map_err(|error| {
        let error = anyhow::Error::from(error);
        Failure::input(format!(
            "{error:#}; name the folder of one version, with plain files and folders in it"
        ))
    })?;
    let (digest, size) = (manifest.digest().to_string(), manifest.bytes());
    screen::print(&match output {
        Some(format) => format.render(&json!({"digest": digest, "size": size.to_string()}))?,
        None => format!("digest: {digest}\nsize: \"{size}\"\n"),
    })?;
    Ok(Exit::Done)
}
