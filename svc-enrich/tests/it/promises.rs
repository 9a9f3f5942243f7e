//! What svc-enrich never does.

#[test]
fn nothing_here_can_fetch_a_page() {
    let manifest = include_str!("../../Cargo.toml");

    for client in ["reqwest", "hyper", "async-openai", "ureq", "curl", "isahc"] {
        assert!(!manifest.contains(client), "svc-enrich depends on {client}");
    }
}
