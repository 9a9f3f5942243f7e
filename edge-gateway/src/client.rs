//! Where a request comes from. Anyone can write an X-Forwarded-For; only what our own proxies have appended is believed.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;
use serde::{Deserialize, Serialize};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The table `[client]` of the settings.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientSettings {
    /// How many proxies of ours stand before the edge, each appending who called it to X-Forwarded-For. With 0, the
    /// default, the header counts for nothing.
    pub trusted_hops: usize,
}

/// The address of who sent the request, as the outermost of our own proxies saw it.
pub(crate) fn address(request: &HttpRequest, settings: ClientSettings) -> Option<IpAddr> {
    let peer = request.peer_addr().as_ref().map(SocketAddr::ip);
    if settings.trusted_hops == 0 {
        return peer.map(|address| address.to_canonical());
    }
    // A line that is no text is kept: left out, it would move the places of the others.
    let lines: Vec<Cow<'_, str>> = request
        .headers()
        .get_all(FORWARDED_FOR)
        .map(|line| String::from_utf8_lossy(line.as_bytes()))
        .collect();
    let forwarded = nth_from_the_right(&lines, settings.trusted_hops);
    forwarded.or(peer).map(|address| address.to_canonical())
}

/// A list shorter than our proxies would have made it did not come through them, and is not believed at all.
fn nth_from_the_right(lines: &[Cow<'_, str>], hops: usize) -> Option<IpAddr> {
    let entries = lines.iter().rev().flat_map(|line| line.rsplit(','));
    let entry = entries.map(str::trim).nth(hops - 1)?;
    entry
        .parse()
        .ok()
        .or_else(|| entry.parse().ok().map(|with_port: SocketAddr| with_port.ip()))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn address_of(forwarded: &[&str], trusted_hops: usize) -> String {
        let mut request = TestRequest::default().peer_addr("10.0.0.1:4711".parse().unwrap());
        for line in forwarded {
            request = request.append_header((FORWARDED_FOR, line.as_bytes()));
        }
        let address = address(&request.to_http_request(), ClientSettings { trusted_hops });
        address.unwrap().to_string()
    }

    #[test]
    fn without_proxies_the_peer_counts_whatever_it_says() {
        assert_eq!(address_of(&[], 0), "10.0.0.1");
        assert_eq!(address_of(&["192.0.2.1"], 0), "10.0.0.1");
    }

    #[test]
    fn each_trusted_hop_is_one_entry_from_the_right() {
        assert_eq!(address_of(&["6.6.6.6, 192.0.2.1"], 1), "192.0.2.1");
        assert_eq!(address_of(&["6.6.6.6, 192.0.2.1, 10.9.9.9"], 2), "192.0.2.1");
        assert_eq!(address_of(&["6.6.6.6", "192.0.2.1", "10.9.9.9"], 2), "192.0.2.1");
        assert_eq!(address_of(&["[2001:db8::1]:4711"], 1), "2001:db8::1");
        assert_eq!(address_of(&["::ffff:192.0.2.1"], 1), "192.0.2.1");
    }

    #[test]
    fn a_list_that_did_not_come_through_our_proxies_is_not_believed() {
        assert_eq!(address_of(&[], 1), "10.0.0.1");
        assert_eq!(address_of(&["192.0.2.1"], 2), "10.0.0.1");
        assert_eq!(address_of(&["unknown"], 1), "10.0.0.1");
    }

    #[test]
    fn what_a_caller_wrote_before_is_of_no_matter_even_when_it_is_no_text() {
        assert_eq!(address_of(&["\u{e9}, 192.0.2.1"], 1), "192.0.2.1");
        assert_eq!(address_of(&["6.6.6.6", "\u{e9}, 192.0.2.1"], 1), "192.0.2.1");
    }
}
