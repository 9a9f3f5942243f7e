//! Where a call comes from: the address and the program, as far as they are known.

use std::net::IpAddr;

use tonic::Request;

/// What the edge calls the User-Agent and the address of its caller.
const USER_AGENT: &str = "x-user-agent";
const CLIENT_ADDRESS: &str = "x-client-address";
const USER_AGENT_MAX_BYTES: usize = 512;

/// Where a call comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub address: Option<IpAddr>,
    pub user_agent: String,
}

impl Origin {
    /// The edge's word counts, because only the mesh lets anybody speak to this port; without one, the peer is the caller.
    pub(crate) fn of<T>(request: &Request<T>) -> Origin {
        let metadata = request.metadata();
        let told = metadata.get(CLIENT_ADDRESS).and_then(|value| value.to_str().ok());
        let told = told.and_then(|text| text.parse().ok());
        let peer = || request.remote_addr().map(|address| address.ip());
        let user_agent = metadata
            .get(USER_AGENT)
            .map_or(b"".as_slice(), |value| value.as_encoded_bytes());
        Origin {
            address: told.or_else(peer).map(|address: IpAddr| address.to_canonical()),
            user_agent: clean_user_agent(user_agent),
        }
    }

    /// The address as it is kept and shown; empty when it is not known.
    pub(crate) fn address_text(&self) -> String {
        self.address.map(|address| address.to_string()).unwrap_or_default()
    }
}

/// The User-Agent header made fit to be kept and shown: no control characters, at most 512 bytes.
fn clean_user_agent(header: &[u8]) -> String {
    let mut text: String = String::from_utf8_lossy(header)
        .chars()
        .filter(|character| !character.is_control())
        .collect();
    text.truncate(text.floor_char_boundary(USER_AGENT_MAX_BYTES));
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin(address: &str) -> Origin {
        let mut request = Request::new(());
        request
            .metadata_mut()
            .insert("x-client-address", address.parse().unwrap());
        Origin::of(&request)
    }

    #[test]
    fn an_address_is_told_in_one_spelling_and_nonsense_is_none() {
        assert_eq!(origin("::ffff:203.0.113.7").address_text(), "203.0.113.7");
        assert_eq!(origin("2001:DB8:0::1").address_text(), "2001:db8::1");
        assert_eq!(origin("localhost").address_text(), "");
    }

    #[test]
    fn a_user_agent_loses_control_characters_and_its_tail() {
        assert_eq!(clean_user_agent(b"curl/8\r\n\x1b[31m"), "curl/8[31m");
        assert_eq!(clean_user_agent("é".repeat(400).as_bytes()).len(), 512);
    }

    proptest! {
        #[test]
        fn any_user_agent_fits(header in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let text = clean_user_agent(&header);

            prop_assert!(text.len() <= 512 && !text.contains(char::is_control));
        }
    }
}
