//! The lengths of functions, told from the indentation that rustfmt gives.

/// A function by its name, with the lines of its body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function<'a> {
    pub(super) name: &'a str,
    pub(super) lines: usize,
}

/// The functions of `text` with more than `limit` lines between their braces.
pub(super) fn longer_than(limit: usize, text: &str) -> Vec<Function<'_>> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some(name) = name_of(line) else { continue };
        let indentation = &line[..line.len() - line.trim_start().len()];
        let rest = &lines[number..];
        let Some(opened) = rest.iter().position(|line| line.ends_with('{') || line.ends_with(';')) else {
            continue;
        };
        if !rest[opened].ends_with('{') {
            continue;
        }
        let end = format!("{indentation}}}");
        let closed = rest.iter().position(|line| *line == end).unwrap_or(rest.len());
        let length = closed.saturating_sub(opened + 1);
        if length > limit {
            found.push(Function { name, lines: length });
        }
    }
    found
}

/// The name of the function that begins on this line.
fn name_of(line: &str) -> Option<&str> {
    let (before, after) = line.trim_start().split_once("fn ")?;
    let begins = before.split_whitespace().all(|word| {
        word.starts_with("pub")
            || ["async", "const", "unsafe", "extern", "in", "default"].contains(&word)
            || word.ends_with(')')
    });
    let name = after.split(['(', '<']).next()?;
    let is_name = !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    (begins && is_name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_as_long_as_what_is_between_its_braces() {
        let text = "impl Thing {\n    pub(crate) async fn long(\n        &self,\n    ) -> usize {\n        1;\n        2;\n        3\n    }\n}\n";

        assert_eq!(longer_than(2, text), [Function { name: "long", lines: 3 }]);
        assert_eq!(longer_than(3, text), []);
    }

    #[test]
    fn a_signature_without_a_body_and_a_word_in_a_comment_are_no_functions() {
        let text = "trait Thing {\n    fn name(&self);\n}\n// a fn pointer (of ours) {\n\n\n\n}\n";

        assert_eq!(longer_than(1, text), []);
    }
}
