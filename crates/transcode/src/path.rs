//! Path templates as google.api.http defines them: `/v1/{name=shelves/*}/books/{book.id}:read`.

use std::ops::Range;

/// A parsed path template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    segments: Vec<Segment>,
    variables: Vec<Variable>,
    verb: Option<String>,
}

/// What one segment of a path has to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Segment {
    Literal(String),
    /// `*`: any one segment.
    One,
    /// `**`: any number of segments, also none; always the last.
    Rest,
}

/// A part of the path that fills a field of the request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable {
    /// The names as in the template, joined by dots.
    pub field_path: String,
    /// The template's segments that belong to it.
    pub segments: Range<usize>,
}

/// A template that breaks the grammar.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("path template `{template}`: {problem}")]
pub struct TemplateError {
    pub template: String,
    pub problem: &'static str,
}

impl Template {
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let error = |problem| TemplateError {
            template: text.to_owned(),
            problem,
        };
        let template = Self {
            segments: Vec::new(),
            variables: Vec::new(),
            verb: None,
        };
        let template = Parser { rest: text, template }.parse().map_err(error)?;
        match template.segments.iter().position(|segment| *segment == Segment::Rest) {
            Some(place) if place + 1 < template.segments.len() => Err(error("`**` must be the last segment")),
            _ => Ok(template),
        }
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// What follows the colon, as in `:cancel`.
    pub fn verb(&self) -> Option<&str> {
        self.verb.as_deref()
    }

    /// Whether the variable may hold slashes, which decides how it is percent-decoded.
    pub(crate) fn spans_segments(&self, variable: &Variable) -> bool {
        variable.segments.len() != 1 || self.segments[variable.segments.start] == Segment::Rest
    }
}

struct Parser<'t> {
    rest: &'t str,
    template: Template,
}

impl Parser<'_> {
    fn parse(mut self) -> Result<Template, &'static str> {
        if !self.take("/") {
            return Err("must begin with `/`");
        }
        self.segments(false)?;
        if self.take(":") {
            self.template.verb = Some(self.literal()?);
        }
        if self.rest.is_empty() {
            Ok(self.template)
        } else {
            Err("has something after its end")
        }
    }

    fn segments(&mut self, inside_variable: bool) -> Result<(), &'static str> {
        loop {
            self.segment(inside_variable)?;
            if !self.take("/") {
                return Ok(());
            }
        }
    }

    fn segment(&mut self, inside_variable: bool) -> Result<(), &'static str> {
        if self.take("**") {
            self.template.segments.push(Segment::Rest);
        } else if self.take("*") {
            self.template.segments.push(Segment::One);
        } else if !self.take("{") {
            let literal = self.literal()?;
            self.template.segments.push(Segment::Literal(literal));
        } else if inside_variable {
            return Err("has a variable inside of a variable");
        } else {
            self.variable()?;
        }
        Ok(())
    }

    fn variable(&mut self) -> Result<(), &'static str> {
        let field_path = self.until(|character| matches!(character, '=' | '}')).to_owned();
        if !field_path.split('.').all(is_identifier) {
            return Err("has a variable whose name is no field path");
        }
        if self
            .template
            .variables
            .iter()
            .any(|other| other.field_path == field_path)
        {
            return Err("has the same variable twice");
        }
        let start = self.template.segments.len();
        if self.take("=") {
            self.segments(true)?;
        } else {
            self.template.segments.push(Segment::One);
        }
        if !self.take("}") {
            return Err("has a variable without its `}`");
        }
        let segments = start..self.template.segments.len();
        self.template.variables.push(Variable { field_path, segments });
        Ok(())
    }

    fn literal(&mut self) -> Result<String, &'static str> {
        let literal = self.until(|character| matches!(character, '/' | ':' | '{' | '}' | '=' | '*'));
        if literal.is_empty() {
            return Err("has an empty segment");
        }
        if literal.contains(|character: char| !character.is_ascii_graphic() || matches!(character, '%' | '?' | '#')) {
            return Err("has a character that a path cannot have as it is");
        }
        Ok(literal.to_owned())
    }

    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn until(&mut self, ends: impl Fn(char) -> bool) -> &str {
        let (text, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        text
    }
}

fn is_identifier(name: &str) -> bool {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') && name.chars().all(is_part)
}
