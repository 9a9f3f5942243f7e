//! Entity tags and conditional requests (RFC 9110, section 13).

/// The entity tags of an If-Match or If-None-Match header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum EntityTags<'h> {
    /// `*`
    Any,
    Listed(Vec<EntityTag<'h>>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EntityTag<'h> {
    pub(crate) is_weak: bool,
    /// Without its quotes.
    pub(crate) opaque: &'h str,
}

impl<'h> EntityTags<'h> {
    /// Nothing when the header breaks the grammar.
    pub(crate) fn parse(header: &'h str) -> Option<Self> {
        let mut rest = header.trim();
        if rest == "*" {
            return Some(Self::Any);
        }
        let mut tags = Vec::new();
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                return (!tags.is_empty()).then_some(Self::Listed(tags));
            }
            let (is_weak, quoted) = match rest.strip_prefix("W/") {
                Some(quoted) => (true, quoted),
                None => (false, rest),
            };
            let (opaque, after) = quoted.strip_prefix('"')?.split_once('"')?;
            tags.push(EntityTag { is_weak, opaque });
            rest = after.trim_start();
            if !rest.is_empty() && !rest.starts_with(',') {
                return None;
            }
        }
    }

    /// By the weak comparison, which is that of If-None-Match.
    pub(crate) fn matches_weakly(&self, opaque: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => tags.iter().any(|tag| tag.opaque == opaque),
        }
    }
}

/// The header of an etag; nothing when it has a character that an entity tag cannot have.
pub(crate) fn quoted(opaque: &str) -> Option<String> {
    let is_allowed = |byte: u8| byte == 0x21 || (0x23..=0x7e).contains(&byte);
    (!opaque.is_empty() && opaque.bytes().all(is_allowed)).then(|| format!("\"{opaque}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strong(opaque: &str) -> EntityTag<'_> {
        EntityTag { is_weak: false, opaque }
    }

    #[test]
    fn lists_of_weak_and_strong_tags_are_read() {
        assert_eq!(EntityTags::parse(" * "), Some(EntityTags::Any));
        assert_eq!(EntityTags::parse(r#""a""#), Some(EntityTags::Listed(vec![strong("a")])));
        assert_eq!(
            EntityTags::parse(r#""a,b" ,W/"c",, """#),
            Some(EntityTags::Listed(vec![
                strong("a,b"),
                EntityTag {
                    is_weak: true,
                    opaque: "c"
                },
                strong("")
            ]))
        );
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for header in ["", ",", "a", r#""a"#, r#""a""b""#, r#"w/"a""#, r#""a", *"#] {
            assert_eq!(EntityTags::parse(header), None, "{header}");
        }
    }

    #[test]
    fn only_what_can_be_an_entity_tag_becomes_one() {
        assert_eq!(quoted("v7").as_deref(), Some("\"v7\""));
        assert_eq!(quoted("a\"b"), None);
        assert_eq!(quoted("a b"), None);
        assert_eq!(quoted(""), None);
    }
}
