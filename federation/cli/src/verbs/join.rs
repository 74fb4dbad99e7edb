//! `muster cluster join`: the one line to paste on a machine that is to become a member.

use std::time::Duration;

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::hub::HubArgs;
use super::logs::parse_duration;
use super::screen;
use crate::exit::{Exit, Failure};

/// Arguments of `muster cluster join`.
#[derive(Args)]
pub struct JoinArgs {
    /// The name that the member is to have
    #[arg(value_name = "NAME")]
    name: String,
    /// How long the line is of use
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    ttl: Duration,
    #[command(flatten)]
    hub: HubArgs,
}

/// Makes a token and prints the line.
pub async fn run(args: JoinArgs) -> anyhow::Result<Exit> {
    let body = json!({"name": args.name, "ttlSeconds": args.ttl.as_secs()});
    let made = args.hub.api()?.request(Method::POST, "/muster/v1/jointokens", Some(&body)).await?.json()?;
    screen::print(&line(&args.name, &made)?)?;
    Ok(Exit::Done)
}

/// The line.
fn line(name: &str, made: &Value) -> Result<String, Failure> {
    let field = |field: &str| {
        made[field].as_str().ok_or_else(|| {
            Failure::negative(format!("the hub's answer has no {field}; is it of another version?"))
        })
    };
    let pin = field("caPin")?;
    let pin = pin.strip_prefix("sha256:").unwrap_or(pin);
    Ok(format!(
        "muster agent --join {} --name {name} --token {} --ca-pin sha256:{pin}\n",
        field("url")?,
        field("token")?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_whatever_way_the_pin_is_written() {
        for pin in ["ab12", "sha256:ab12"] {
            let made = json!({"token": "t", "caPin": pin, "url": "https://10.0.0.1:7451"});
            let want =
                "muster agent --join https://10.0.0.1:7451 --name site-a --token t --ca-pin sha256:ab12\n";
            assert_eq!(line("site-a", &made).unwrap(), want);
        }
        assert!(line("a", &json!({"token": "t", "url": "u"})).unwrap_err().to_string().contains("caPin"));
    }
}
