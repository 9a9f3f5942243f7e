//! Which coding a caller would have (RFC 9110, section 12.5.3).

use super::coding::Coding;

/// In thousandths, as far as qvalues go.
type Weight = u16;
const FULL: Weight = 1000;

/// What Accept-Encoding says of the codings that the edge has.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Accepted {
    /// By their places in [`Coding::ALL`].
    named: [Option<Weight>; Coding::ALL.len()],
    identity: Option<Weight>,
    any_other: Option<Weight>,
}

impl Accepted {
    /// Of all lines of the header. What breaks the grammar is not understood, and so not asked for.
    pub(super) fn read<'h>(lines: impl Iterator<Item = &'h str>) -> Self {
        let mut accepted = Self::default();
        for element in lines.flat_map(|line| line.split(',')) {
            let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
            if let Some(weight) = weight(parameters) {
                accepted.note(name.trim(), weight);
            }
        }
        accepted
    }

    fn note(&mut self, name: &str, weight: Weight) {
        if name == "*" {
            self.any_other = Some(weight);
        } else if name.eq_ignore_ascii_case("identity") {
            self.identity = Some(weight);
        } else if let Some(place) = Coding::ALL.iter().position(|coding| coding.is_named(name)) {
            self.named[place] = Some(weight);
        }
    }

    /// Nothing when the answer should go as it is. Of what is equally welcome, the first of [`Coding::ALL`].
    pub(super) fn best(&self) -> Option<Coding> {
        let mut best: Option<(Coding, Weight)> = None;
        for (coding, named) in Coding::ALL.into_iter().zip(self.named) {
            let weight = named.or(self.any_other).unwrap_or_default();
            if weight > best.map_or(0, |(_, best)| best) {
                best = Some((coding, weight));
            }
        }
        // An identity that is not named is good enough, but asked for by nobody.
        let identity = self.identity.unwrap_or_default();
        best.filter(|(_, weight)| *weight >= identity).map(|(coding, _)| coding)
    }
}

/// Nothing when it is no weight.
fn weight(parameters: &str) -> Option<Weight> {
    let Some(value) = parameters.trim().strip_prefix(['q', 'Q']) else {
        return parameters.trim().is_empty().then_some(FULL);
    };
    let value = value.trim_start().strip_prefix('=')?.trim();
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let is_digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths: Weight = format!("{fraction:0<3}").parse().ok().filter(|_| is_digits)?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(FULL),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn best(header: &str) -> Option<&'static str> {
        Accepted::read([header].into_iter()).best().map(Coding::name)
    }

    #[test]
    fn the_heaviest_coding_wins_and_the_cheapest_of_equals() {
        for (header, coding) in [
            ("gzip", Some("gzip")),
            ("x-gzip", Some("gzip")),
            ("GZIP;Q=0.2", Some("gzip")),
            ("gzip, deflate, br, zstd", Some("zstd")),
            ("gzip, deflate, br", Some("br")),
            ("br;q=0.5, gzip;q=0.8", Some("gzip")),
            ("zstd ; q=0.001 , gzip; q=0.01", Some("gzip")),
            ("*", Some("zstd")),
            ("zstd;q=0, *;q=0.5", Some("br")),
        ] {
            assert_eq!(best(header), coding, "{header}");
        }
    }

    #[test]
    fn an_answer_goes_as_it_is_when_that_is_what_is_wanted() {
        for header in [
            "",
            "identity",
            "deflate, compress",
            "gzip;q=0",
            "gzip;q=0.000",
            "*;q=0",
            "gzip;q=0.5, identity",
            "gzip;q=2",
            "gzip;q=many",
            "gzip;q=0.1234",
            "gzip;level=9",
        ] {
            assert_eq!(best(header), None, "{header}");
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        let accepted = Accepted::read(["gzip;q=0.5", "br;q=0.7"].into_iter());

        assert_eq!(accepted.best(), Some(Coding::Brotli));
    }

    proptest! {
        #[test]
        fn nothing_is_chosen_that_another_coding_outweighs_or_that_is_refused(
            zstd in 0u16..=1000, br in 0u16..=1000, gzip in 0u16..=1000, identity in 0u16..=1000,
        ) {
            let text = |weight: u16| if weight == FULL { "1".to_owned() } else { format!("0.{weight:03}") };
            let header = format!(
                "gzip;q={}, identity;q={}, br;q={}, zstd;q={}", text(gzip), text(identity), text(br), text(zstd)
            );
            let weights = [("zstd", zstd), ("br", br), ("gzip", gzip)];
            let heaviest = weights.iter().map(|(_, weight)| *weight).max().unwrap();

            match best(&header) {
                None => prop_assert!(heaviest == 0 || heaviest < identity),
                Some(name) => {
                    let (_, weight) = weights.iter().find(|(other, _)| *other == name).unwrap();
                    prop_assert!(*weight == heaviest && *weight > 0 && *weight >= identity);
                }
            }
        }

        #[test]
        fn no_header_makes_it_fail(header in "\\PC*") {
            best(&header);
        }
    }
}
