//! `$VAR` and `${VAR}` in manifests, replaced as GNU envsubst does it, from the scenario's `env`
//! alone.
//!
//! Values are replaced when a field reads them, not in the file: places stay those of the user's
//! text, and shell variables in fields that nobody reads (`args`, `command`) stay as they are.

use std::collections::BTreeMap;

/// The variables of a scenario.
pub type Variables = BTreeMap<String, String>;

/// A text with its variables replaced, and the names of those that are not defined (left as
/// written).
pub fn substitute(text: &str, variables: &Variables) -> (String, Vec<String>) {
    let mut result = String::with_capacity(text.len());
    let mut undefined = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let (before, from_dollar) = rest.split_at(dollar);
        result.push_str(before);
        let Some((name, length)) = reference(from_dollar) else {
            result.push('$');
            rest = &from_dollar[1..];
            continue;
        };
        match variables.get(name) {
            Some(value) => result.push_str(value),
            None => {
                undefined.push(name.to_owned());
                result.push_str(&from_dollar[..length]);
            }
        }
        rest = &from_dollar[length..];
    }
    result.push_str(rest);
    (result, undefined)
}

/// The name of the reference that a text starts with, and the length of the reference. Forms with
/// an operator (`${VAR:-x}`) are no references for envsubst.
fn reference(text: &str) -> Option<(&str, usize)> {
    let after = text.strip_prefix('$')?;
    let (braces, name) = match after.strip_prefix('{') {
        Some(inner) => (2, inner),
        None => (0, after),
    };
    let length = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
    let (name, tail) = name.split_at(length);
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (starts_well && (braces == 0 || tail.starts_with('}'))).then_some((name, 1 + braces + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_those_of_envsubst() {
        let variables = Variables::from([("A".into(), "x".into()), ("B_2".into(), "$A".into())]);
        for (text, expected, undefined) in [
            ("${A}", "x", vec![]),
            ("pre-$A-${A}.", "pre-x-x.", vec![]),
            ("$B_2", "$A", vec![]),
            ("$AB ${C}", "$AB ${C}", vec!["AB", "C"]),
            ("${A:-y} $1 $$ ${ $", "${A:-y} $1 $$ ${ $", vec![]),
            ("$é${A", "$é${A", vec![]),
        ] {
            let (text, found) = substitute(text, &variables);
            assert_eq!(
                (text.as_str(), found),
                (expected, undefined.iter().map(|s| s.to_string()).collect())
            );
        }
    }
}
