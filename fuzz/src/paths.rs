//! The trie of paths against a search through all templates.

use std::sync::OnceLock;

use prost_reflect::DynamicMessage;
use transcode::{Found, Match, Route, Segment, Template};

use crate::{Contract, text_of_pieces};

const METHODS: [&str; 8] = ["GET", "POST", "PATCH", "DELETE", "HEAD", "LOCK", "OPTIONS", "PUT"];
const PIECES: [&str; 24] = [
    "/", "/", "/v1", "/books", "/shelves", "/best", "/files", "/index", "/title", "/authors", "/place", ":read",
    ":lend", ":meta", ":", "%62ooks", "%2F", "%3A", "%zz", "%ff", "{", "}", "**", "é",
];

pub fn check(data: &[u8]) {
    let Some((method, rest)) = data.split_first() else {
        return;
    };
    let method = METHODS[usize::from(*method) % METHODS.len()];
    let path = text_of_pieces(rest, &PIECES);
    check_template(&path);
    let contract = contract();
    let expected = search(contract.routes.all(), method, &path);
    match contract.routes.find(method, &path) {
        Found::Route(found) => {
            assert_eq!(expected, Expected::Route(found.index), "{method} {path}");
            check_captures(contract, &found);
        }
        Found::OtherMethods { allow } => {
            assert_eq!(expected, Expected::OtherMethods, "{method} {path}");
            assert!(
                !allow.split(", ").any(|allowed| allowed == method) || method == "OPTIONS",
                "{method} in {allow}"
            );
        }
        Found::Nothing => assert_eq!(expected, Expected::Nothing, "{method} {path}"),
    }
}

fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| Contract::compile("routes.proto"))
}

/// A template that can be read is made of what it says.
fn check_template(text: &str) {
    let Ok(template) = Template::parse(text) else { return };
    let places = template.segments().len();
    let inside = template
        .variables()
        .iter()
        .all(|variable| variable.segments.end <= places && !variable.segments.is_empty());
    assert!(inside, "{text}");
}

fn check_captures(contract: &Contract, found: &Match<'_, '_>) {
    let mut wire = Vec::new();
    if found.read_path(&contract.plans, &mut wire).is_ok() {
        DynamicMessage::decode(found.route.rpc.input(), wire.as_slice()).expect("what the path fills is a message");
    }
}

#[derive(PartialEq, Eq, Debug)]
enum Expected {
    Route(usize),
    OtherMethods,
    Nothing,
}

fn search(routes: &[Route], method: &str, path: &str) -> Expected {
    let Some(segments) = path.strip_prefix('/').map(|path| path.split('/').collect::<Vec<_>>()) else {
        return Expected::Nothing;
    };
    let (last, others) = segments.split_last().expect("a split text has a part");
    if segments.iter().any(|segment| segment.is_empty()) {
        return Expected::Nothing;
    }
    if let Some((last, verb)) = last.rsplit_once(':')
        && !last.is_empty()
    {
        let segments = [others, &[last]].concat();
        match choose(routes, method, &segments, Some(verb)) {
            Expected::Nothing => {}
            expected @ (Expected::Route(_) | Expected::OtherMethods) => return expected,
        }
    }
    choose(routes, method, &segments, None)
}

/// The route whose template is the most exact one, segment by segment from the left.
fn choose(routes: &[Route], method: &str, segments: &[&str], verb: Option<&str>) -> Expected {
    let fits = |route: &&(usize, &Route)| {
        route.1.template.verb() == verb && template_fits(route.1.template.segments(), segments)
    };
    let numbered: Vec<(usize, &Route)> = routes.iter().enumerate().collect();
    let fitting: Vec<&(usize, &Route)> = numbered.iter().filter(fits).collect();
    let best = |method: &str| {
        let of_method = fitting
            .iter()
            .filter(|(_, route)| route.http_method == method || route.http_method == "*");
        of_method
            .min_by_key(|(_, route)| exactness(route.template.segments()))
            .map(|(index, _)| *index)
    };
    let found = best(method).or_else(|| (method == "HEAD").then(|| best("GET")).flatten());
    match found {
        Some(index) => Expected::Route(index),
        None if fitting.is_empty() => Expected::Nothing,
        None => Expected::OtherMethods,
    }
}

fn template_fits(template: &[Segment], path: &[&str]) -> bool {
    match (template.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((Segment::Rest, _)), _) => true,
        (Some((Segment::Literal(literal), template)), Some((segment, path))) => {
            decoded(segment).as_deref() == Some(literal.as_bytes()) && template_fits(template, path)
        }
        (Some((Segment::One, template)), Some((_, path))) => template_fits(template, path),
        (None | Some(_), None | Some(_)) => false,
    }
}

fn exactness(segments: &[Segment]) -> Vec<u8> {
    let rank = |segment: &Segment| match segment {
        Segment::Literal(_) => 0,
        Segment::One => 1,
        Segment::Rest => 2,
    };
    segments.iter().map(rank).collect()
}

fn decoded(segment: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            decoded.push((digit()? * 16 + digit()?) as u8);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok().map(String::into_bytes)
}
