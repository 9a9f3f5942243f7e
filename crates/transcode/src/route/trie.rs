//! The tree of all path templates. Literals beat `*`, `*` beats `**`; a path has to fit as it is, byte for byte.

use std::collections::BTreeMap;

use crate::path::{Segment, Template};
use crate::percent::{self, Place};

#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
}

#[derive(Default, Debug)]
struct Node {
    literals: BTreeMap<String, usize>,
    one: Option<usize>,
    rest: Option<usize>,
    ends: Vec<End>,
}

/// A route that ends at a node.
#[derive(Debug)]
struct End {
    verb: Option<String>,
    method: String,
    route: usize,
}

/// What one lookup looks for, and the methods that it saw on the way.
pub(super) struct Lookup<'t, 'p> {
    pub(super) method: &'p str,
    pub(super) verb: Option<&'p str>,
    pub(super) methods_seen: Vec<&'t str>,
}

impl Trie {
    pub(super) fn new() -> Self {
        Self {
            nodes: vec![Node::default()],
        }
    }

    /// Adds a route. When its place is taken, answers the route that has it.
    pub(super) fn insert(&mut self, method: &str, template: &Template, route: usize) -> Result<(), usize> {
        let mut place = 0;
        for segment in template.segments() {
            place = self.child(place, segment);
        }
        let ends = &mut self.nodes[place].ends;
        match ends
            .iter()
            .find(|end| end.method == method && end.verb.as_deref() == template.verb())
        {
            Some(end) => Err(end.route),
            None => {
                ends.push(End {
                    verb: template.verb().map(str::to_owned),
                    method: method.to_owned(),
                    route,
                });
                Ok(())
            }
        }
    }

    pub(super) fn find<'t>(&'t self, segments: &[&str], lookup: &mut Lookup<'t, '_>) -> Option<usize> {
        self.search(0, segments, lookup)
    }

    fn child(&mut self, place: usize, segment: &Segment) -> usize {
        let new = self.nodes.len();
        let node = &mut self.nodes[place];
        let child = match segment {
            Segment::Literal(literal) => *node.literals.entry(literal.clone()).or_insert(new),
            Segment::One => *node.one.get_or_insert(new),
            Segment::Rest => *node.rest.get_or_insert(new),
        };
        if child == new {
            self.nodes.push(Node::default());
        }
        child
    }

    /// Goes on to the next best branch when a branch has no route with the wanted method.
    fn search<'t>(&'t self, place: usize, segments: &[&str], lookup: &mut Lookup<'t, '_>) -> Option<usize> {
        let node = &self.nodes[place];
        let rest = |lookup: &mut _| node.rest.and_then(|rest| self.nodes[rest].end(lookup));
        let Some((first, others)) = segments.split_first() else {
            return node.end(lookup).or_else(|| rest(lookup));
        };
        if let Some(child) = node.literal(first)
            && let Some(found) = self.search(child, others, lookup)
        {
            return Some(found);
        }
        if let Some(child) = node.one
            && let Some(found) = self.search(child, others, lookup)
        {
            return Some(found);
        }
        rest(lookup)
    }
}

impl Node {
    fn literal(&self, segment: &str) -> Option<usize> {
        if segment.contains('%') {
            return self
                .literals
                .get(percent::decode(segment, Place::Segment)?.as_ref())
                .copied();
        }
        self.literals.get(segment).copied()
    }

    fn end<'t>(&'t self, lookup: &mut Lookup<'t, '_>) -> Option<usize> {
        let mut ends = self.ends.iter().filter(|end| end.verb.as_deref() == lookup.verb);
        ends.find(|end| {
            lookup.methods_seen.push(&end.method);
            end.method == lookup.method || end.method == "*"
        })
        .map(|end| end.route)
    }
}
