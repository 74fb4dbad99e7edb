//! `muster dataset digest`: what a folder's files are, for `spec.digest` of a Dataset. Nothing is asked of the hub.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use muster_member_agent::Manifest;
use serde_json::json;

use super::output::DataFormat;
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
    let shown = folder.display().to_string();
    let read = tokio::task::spawn_blocking(move || Manifest::of_folder(&folder)).await?;
    let manifest =
        read.map_err(|error| Failure::input(format!("{shown}: {:#}", anyhow::Error::from(error))))?;
    let (digest, size) = (manifest.digest().to_string(), manifest.bytes());
    match output {
        Some(format) => print!("{}", format.render(&json!({"digest": digest, "size": size.to_string()}))?),
        None => println!("digest: {digest}\nsize: \"{size}\""),
    }
    Ok(Exit::Done)
}
