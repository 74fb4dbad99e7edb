//! A command as the audit log shows it: what looks like the value of a secret is left out.
//!
//! Nobody can tell a secret from other text for certain. What is named like one is left out, rather too much than too little;
//! secrets belong into standard input or files.

/// What stands for a value.
const LEFT_OUT: &str = "***";
/// What names of secrets contain, in lower case.
const NAMES: [&str; 8] = ["secret", "token", "passw", "pwd", "key", "credential", "auth", "bearer"];
/// The most bytes that are shown.
const BYTES_MAX: usize = 1_024;

/// Program and arguments in one line, shell words quoted where they need it.
pub fn shown(command: &[String]) -> String {
    let mut out = String::new();
    let mut next_is_secret = false;
    for argument in command {
        let words: Vec<String> =
            argument.split_whitespace().map(|word| of_word(word, &mut next_is_secret)).collect();
        let text = words.join(" ");
        let quote = if words.len() == 1 { "" } else { "'" };
        let space = if out.is_empty() { "" } else { " " };
        out.push_str(&format!("{space}{quote}{text}{quote}"));
        if out.len() > BYTES_MAX {
            out.truncate(out.floor_char_boundary(BYTES_MAX));
            out.push_str(" ...");
            break;
        }
    }
    out
}

/// One word. A name without a value makes the next word one.
fn of_word(word: &str, next_is_secret: &mut bool) -> String {
    if std::mem::take(next_is_secret) {
        // `Authorization: Bearer x` has its value one word later.
        *next_is_secret = is_named_like_a_secret(word);
        return if *next_is_secret { clean(word) } else { LEFT_OUT.to_owned() };
    }
    if let Some((scheme, rest)) = word.split_once("://")
        && let Some((_, host)) = rest.split_once('@')
    {
        return format!("{}://{LEFT_OUT}@{}", clean(scheme), clean(host));
    }
    match word.split_once('=') {
        Some((name, _)) if is_named_like_a_secret(name) => format!("{}={LEFT_OUT}", clean(name)),
        Some(_) => clean(word),
        None => {
            let is_name = word.starts_with('-') || word.ends_with(':') || word.eq_ignore_ascii_case("bearer");
            *next_is_secret = is_name && is_named_like_a_secret(word);
            clean(word)
        }
    }
}

fn is_named_like_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.iter().any(|part| name.contains(part))
}

/// A record is one line.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_what_is_named_like_a_secret_are_left_out() {
        let table: [(&[&str], &str); 9] = [
            (&["ls", "-l", "/data"], "ls -l /data"),
            (&["sh", "-c", "echo a  b; exit 7"], "sh -c 'echo a b; exit 7'"),
            (&["env", "AWS_SECRET_ACCESS_KEY=abc", "N=3", "run"], "env AWS_SECRET_ACCESS_KEY=*** N=3 run"),
            (&["mysql", "--password=x", "--user=u"], "mysql --password=*** --user=u"),
            (&["login", "--token", "abc", "now"], "login --token *** now"),
            (&["sh", "-c", "PGPASSWORD=x psql"], "sh -c 'PGPASSWORD=*** psql'"),
            (
                &["curl", "-H", "Authorization: Bearer abc", "https://u:p@host/x"],
                "curl -H 'Authorization: Bearer ***' https://***@host/x",
            ),
            (&["a\u{1b}[2J", ""], "a?[2J ''"),
            (&[], ""),
        ];
        for (command, want) in table {
            let command: Vec<String> = command.iter().map(|argument| (*argument).to_owned()).collect();
            assert_eq!(shown(&command), want);
        }
    }

    #[test]
    fn a_long_command_is_cut() {
        let shown = shown(&["ä".repeat(BYTES_MAX)]);
        assert!(shown.ends_with("ä ...") && shown.len() <= BYTES_MAX + 4, "{}", shown.len());
    }
}
