//! The orders in which bookmarks are listed.

use service::status::Violation;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    NewestFirst,
    OldestFirst,
    LastChangedFirst,
    Title,
}

impl Order {
    /// Nothing is no order.
    pub fn parse(field: &str, text: &str) -> Result<Option<Order>, Violation> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.join(" ").as_str() {
            "" => Ok(None),
            "create_time desc" => Ok(Some(Order::NewestFirst)),
            "create_time" | "create_time asc" => Ok(Some(Order::OldestFirst)),
            "update_time desc" => Ok(Some(Order::LastChangedFirst)),
            "title" | "title asc" => Ok(Some(Order::Title)),
            _ => {
                let rule = "must be one of: create_time desc, create_time, update_time desc, title";
                Err(Violation::new(field, rule))
            }
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Order::NewestFirst => "create_time desc",
            Order::OldestFirst => "create_time",
            Order::LastChangedFirst => "update_time desc",
            Order::Title => "title",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_reads_back() {
        for order in [
            Order::NewestFirst,
            Order::OldestFirst,
            Order::LastChangedFirst,
            Order::Title,
        ] {
            assert_eq!(Order::parse("order_by", order.as_str()), Ok(Some(order)));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["id", "title desc", "create_time, title", "CREATE_TIME"] {
            assert_eq!(Order::parse("order_by", text).unwrap_err().field, "order_by", "{text}");
        }
    }
}
