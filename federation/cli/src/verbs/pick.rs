//! Which objects are meant: `KIND NAME...` or `KIND/NAME...`.

use super::kinds::{Kinds, ServedKind};
use crate::exit::Failure;

/// A kind, and perhaps one object of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    /// The kind.
    pub kind: ServedKind,
    /// The object; `None` for all.
    pub name: Option<String>,
}

impl Pick {
    /// The objects that words mean.
    pub fn parse(kinds: &Kinds, words: &[String]) -> Result<Vec<Pick>, Failure> {
        if words.iter().any(|word| word.contains('/')) {
            return words.iter().map(|word| pair(kinds, word)).collect();
        }
        let Some((kind_words, names)) = words.split_first() else {
            return Err(Failure::usage(
                "say what: KIND, KIND NAME or KIND/NAME, such as `jobs` or `job/train`",
            ));
        };
        let of_kind = |kind: &ServedKind| -> Vec<Pick> {
            let named = names.iter().map(|name| Pick { kind: kind.clone(), name: Some(name.clone()) });
            let all = names.is_empty().then(|| Pick { kind: kind.clone(), name: None });
            named.chain(all).collect()
        };
        Ok(kinds.all_named(kind_words)?.into_iter().flat_map(of_kind).collect())
    }
}

/// Which job is meant by `JOB`, `job/JOB`, or `NAMESPACE/JOB` as the hub writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl JobName {
    /// Reads a word; without a namespace in it, the given one is meant.
    pub fn parse(word: &str, default_namespace: &str) -> JobName {
        let (namespace, name) = match word.split_once('/') {
            Some(("job" | "jobs" | "job.batch" | "jobs.batch", name)) => (default_namespace, name),
            Some((namespace, name)) => (namespace, name),
            None => (default_namespace, word),
        };
        JobName { namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

fn pair(kinds: &Kinds, word: &str) -> Result<Pick, Failure> {
    match word.split_once('/') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => {
            Ok(Pick { kind: kinds.named(kind)?.clone(), name: Some(name.to_owned()) })
        }
        _ => Err(Failure::usage(format!("{word:?}: where one argument is KIND/NAME, all must be"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], want: &[(&str, Option<&str>)]) {
        let kinds = crate::verbs::kinds::tests::sample();
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let picks = Pick::parse(&kinds, &words).unwrap();
        let got: Vec<_> =
            picks.iter().map(|pick| (pick.kind.plural.as_str(), pick.name.as_deref())).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn ways_to_name_a_job() {
        for (word, want) in [
            ("train", ("ns", "train")),
            ("job/train", ("ns", "train")),
            ("jobs.batch/a", ("ns", "a")),
            ("team/train", ("team", "train")),
        ] {
            let job = JobName::parse(word, "ns");
            assert_eq!((job.namespace.as_str(), job.name.as_str()), want);
        }
    }

    #[test]
    fn ways_to_say_it() {
        check(&["jobs"], &[("jobs", None)]);
        check(&["job", "a", "b"], &[("jobs", Some("a")), ("jobs", Some("b"))]);
        check(&["job/a", "po/b"], &[("jobs", Some("a")), ("pods", Some("b"))]);
        check(&["jobs,po"], &[("jobs", None), ("pods", None)]);
        let kinds = crate::verbs::kinds::tests::sample();
        let mixed = Pick::parse(&kinds, &["job/a".to_owned(), "b".to_owned()]).unwrap_err();
        assert_eq!(mixed.to_string(), "\"b\": where one argument is KIND/NAME, all must be");
        assert!(Pick::parse(&kinds, &[]).is_err());
    }
}
