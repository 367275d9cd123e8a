//! Which records a sink takes: `type = 'ride' and speed >= 3.5`.
//!
//! - Q1 A comparison with a field that is missing or of another kind does not hold, but for `!=`, which then does.

use std::cmp::Ordering;
use std::fmt;

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    Null,
    Boolean(bool),
    Number(f64),
    Text(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    AtMost,
    More,
    AtLeast,
}

/// The operators as they are written, longer ones before those they begin with.
const OPERATORS: [(&str, Operator); 6] = [
    ("!=", Operator::NotEqual),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::More),
];

/// One comparison of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) path: Vec<String>,
    operator: Operator,
    operand: Operand,
}

/// Comparisons that must all hold; without any, every record is taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condition(pub(crate) Vec<Comparison>);

/// Why a condition cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionError(String);

impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; a condition looks like: type = 'ride' and speed >= 3.5", self.0)
    }
}

impl std::error::Error for ConditionError {}

impl Comparison {
    /// Whether it holds for a field's value.
    pub(crate) fn holds(&self, value: &Operand) -> bool {
        let order = match (value, &self.operand) {
            (Operand::Null, Operand::Null) => Some(Ordering::Equal),
            (Operand::Boolean(value), Operand::Boolean(operand)) => Some(value.cmp(operand)),
            (Operand::Number(value), Operand::Number(operand)) => value.partial_cmp(operand),
            (Operand::Text(value), Operand::Text(operand)) => Some(value.cmp(operand)),
            (Operand::Null | Operand::Boolean(_) | Operand::Number(_) | Operand::Text(_), _) => None,
        };
        match self.operator {
            Operator::Equal => order == Some(Ordering::Equal),
            Operator::NotEqual => order != Some(Ordering::Equal),
            Operator::Less => order == Some(Ordering::Less),
            Operator::AtMost => order.is_some_and(Ordering::is_le),
            Operator::More => order == Some(Ordering::Greater),
            Operator::AtLeast => order.is_some_and(Ordering::is_ge),
        }
    }
}

impl Condition {
    /// Reads one.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Condition, ConditionError> {
        let mut comparisons = Vec::new();
        let mut rest = text;
        loop {
            let (comparison, after) = comparison(rest)?;
            comparisons.push(comparison);
            if after.is_empty() {
                return Ok(Condition(comparisons));
            }
            let next = after.strip_prefix("and").filter(|next| next.starts_with(char::is_whitespace));
            rest = next.ok_or_else(|| ConditionError(format!("'and' is expected before '{after}'")))?;
        }
    }
}

/// The first comparison, and what stands behind it.
fn comparison(text: &str) -> Result<(Comparison, &str), ConditionError> {
    let text = text.trim_start();
    let end = text.find(|c: char| c.is_whitespace() || "=!<>".contains(c)).unwrap_or(text.len());
    let (field, rest) = text.split_at(end);
    let path = crate::definition::path(field)
        .ok_or_else(|| ConditionError(format!("a field's name is expected before '{rest}'")))?;
    let rest = rest.trim_start();
    let (operator, rest) = OPERATORS
        .iter()
        .find_map(|(written, operator)| Some((*operator, rest.strip_prefix(written)?)))
        .ok_or_else(|| ConditionError(format!("one of = != < <= > >= is expected behind '{field}'")))?;
    let (operand, rest) = operand(rest.trim_start())?;
    Ok((Comparison { path, operator, operand }, rest.trim_start()))
}

fn operand(text: &str) -> Result<(Operand, &str), ConditionError> {
    if let Some(quoted) = text.strip_prefix('\'') {
        let (text, rest) =
            quoted.split_once('\'').ok_or_else(|| ConditionError(format!("no ' ends '{quoted}'")))?;
        return Ok((Operand::Text(text.to_owned()), rest));
    }
    let (word, rest) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
    let operand = match word {
        "null" => Operand::Null,
        "true" => Operand::Boolean(true),
        "false" => Operand::Boolean(false),
        number => number.parse().map(Operand::Number).map_err(|_| {
            ConditionError(format!("a number, 'text', true, false or null is expected at '{number}'"))
        })?,
    };
    Ok((operand, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(condition: &str, value: Operand, expected: bool) {
        let condition = Condition::parse(condition).expect("a condition");
        assert_eq!(condition.0[0].holds(&value), expected);
    }

    #[test]
    fn comparisons_hold_for_their_own_kind_only() {
        check("a = 1", Operand::Number(1.0), true);
        check("a = 1", Operand::Text("1".to_owned()), false);
        check("a != 1", Operand::Text("1".to_owned()), true);
        check("a != 1", Operand::Null, true);
        check("a=null", Operand::Null, true);
        check("a <= 'b'", Operand::Text("b".to_owned()), true);
        check("a < 'b'", Operand::Text("b".to_owned()), false);
        check("a > -1.5", Operand::Number(0.0), true);
        check("a >= 2", Operand::Null, false);
        check("a = true", Operand::Boolean(true), true);
    }

    #[test]
    fn comparisons_are_joined() {
        let condition =
            Condition::parse("user.kind = 'a and b'  and x>=3 and y != null").expect("a condition");
        let paths: Vec<_> = condition.0.iter().map(|comparison| comparison.path.join("/")).collect();
        assert_eq!(paths, ["user/kind", "x", "y"]);
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in
            ["", "a", "a =", "= 1", "a = 'x", "a = x", "a = 1 or b = 2", "a = 1 and", "a ~ 1", "a..b = 1"]
        {
            assert!(Condition::parse(text).is_err(), "{text}");
        }
    }
}
