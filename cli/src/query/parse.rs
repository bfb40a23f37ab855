//! From text to an expression, by hand: words, quotes, operators and brackets; OR binds least, NOT most. An expression
//! has a depth that no stack breaks under.

use super::{Expr, Op};

/// More brackets and NOTs in each other than anybody means; each costs some of the stack.
const DEPTH_MAX: usize = 200;

/// Words, signs and brackets: a chain of ANDs is as deep as it is long.
const TOKENS_MAX: usize = 4000;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Op(Op),
    Open,
    Close,
    And,
    Or,
    Not,
    End,
}

impl Token {
    fn name(&self) -> String {
        match self {
            Self::Word(text) | Self::Quoted(text) => format!("{text:?}"),
            Self::Op(op) => format!("\"{op}\""),
            Self::Open => "\"(\"".into(),
            Self::Close => "\")\"".into(),
            Self::And => "AND".into(),
            Self::Or => "OR".into(),
            Self::Not => "NOT".into(),
            Self::End => "the end".into(),
        }
    }
}

/// Reads an expression; what is wrong with it is told with its position.
pub fn parse(text: &str) -> Result<Expr, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    if parser.peek() == &Token::End {
        return Err("empty query".into());
    }
    let expr = parser.or()?;
    match parser.peek() {
        Token::End => Ok(expr),
        other => {
            let name = other.name();
            Err(format!(
                "unexpected token {name} at position {} (expected end of query)",
                parser.position()
            ))
        }
    }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, String> {
    let mut tokens = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some(&(at, c)) = chars.peek() {
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        let token = match c {
            '(' | ')' => {
                chars.next();
                if c == '(' { Token::Open } else { Token::Close }
            }
            '=' | '!' | '<' | '>' => {
                chars.next();
                let or_equal = chars.next_if(|(_, next)| *next == '=').is_some();
                Token::Op(match (c, or_equal) {
                    ('=', _) => Op::Equal,
                    ('!', true) => Op::NotEqual,
                    ('<', false) => Op::Less,
                    ('<', true) => Op::LessOrEqual,
                    ('>', false) => Op::Greater,
                    ('>', true) => Op::GreaterOrEqual,
                    _ => {
                        return Err(format!(
                            "unexpected character '!' at position {at} (did you mean '!='?)"
                        ));
                    }
                })
            }
            '"' | '\'' => {
                chars.next();
                Token::Quoted(
                    quoted(&mut chars, c)
                        .ok_or_else(|| format!("unterminated string at position {at}"))?,
                )
            }
            _ => word(&mut chars),
        };
        tokens.push((at, token));
        if tokens.len() > TOKENS_MAX {
            return Err(format!("more than {TOKENS_MAX} words, signs and brackets"));
        }
    }
    tokens.push((text.len(), Token::End));
    Ok(tokens)
}

type Chars<'a> = std::iter::Peekable<std::str::CharIndices<'a>>;

/// Up to the closing quote; a backslash takes what follows as it is.
fn quoted(chars: &mut Chars<'_>, quote: char) -> Option<String> {
    let mut text = String::new();
    loop {
        match chars.next()?.1 {
            '\\' => text.push(chars.next()?.1),
            c if c == quote => return Some(text),
            c => text.push(c),
        }
    }
}

fn word(chars: &mut Chars<'_>) -> Token {
    let mut text = String::new();
    let ends = |c: char| c.is_whitespace() || "()=!<>\"'".contains(c);
    while let Some((_, c)) = chars.next_if(|(_, c)| !ends(*c)) {
        text.push(c);
    }
    match text.to_ascii_uppercase().as_str() {
        "AND" => Token::And,
        "OR" => Token::Or,
        "NOT" => Token::Not,
        _ => Token::Word(text),
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
}

impl Parser {
    /// The end stays where it is.
    fn peek(&self) -> &Token {
        &self.tokens[self.at].1
    }

    fn position(&self) -> usize {
        self.tokens[self.at].0
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn or(&mut self) -> Result<Expr, String> {
        let mut expr = self.and()?;
        while self.peek() == &Token::Or {
            self.next();
            expr = Expr::Or(Box::new(expr), Box::new(self.and()?));
        }
        Ok(expr)
    }

    fn and(&mut self) -> Result<Expr, String> {
        let mut expr = self.not()?;
        while self.peek() == &Token::And {
            self.next();
            expr = Expr::And(Box::new(expr), Box::new(self.not()?));
        }
        Ok(expr)
    }

    fn not(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} brackets and NOTs in each other"));
        }
        let expr = match self.peek() {
            Token::Not => {
                self.next();
                Expr::Not(Box::new(self.not()?))
            }
            Token::Open => {
                self.next();
                let expr = self.or()?;
                let at = self.position();
                match self.next() {
                    Token::Close => expr,
                    other => {
                        return Err(format!("expected ')' at position {at}, got {}", other.name()));
                    }
                }
            }
            _ => self.comparison()?,
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn comparison(&mut self) -> Result<Expr, String> {
        let at = self.position();
        let field = match self.next() {
            Token::Word(word) => field(&word),
            other => {
                return Err(format!("expected field name at position {at}, got {}", other.name()));
            }
        };
        let at = self.position();
        let op = match self.next() {
            Token::Op(op) => op,
            other => {
                let name = other.name();
                return Err(format!("expected comparison operator at position {at}, got {name}"));
            }
        };
        let at = self.position();
        match self.next() {
            Token::Word(value) | Token::Quoted(value) => Ok(Expr::Is { field, op, value }),
            other => Err(format!("expected value at position {at}, got {}", other.name())),
        }
    }
}

/// In small letters, under one name; a key of the metadata stays as it is.
fn field(word: &str) -> String {
    let lower = word.to_lowercase();
    if let (true, Some(key)) = (lower.starts_with("metadata."), word.get("metadata.".len()..)) {
        return format!("metadata.{key}");
    }
    match lower.as_str() {
        "desc" => "description",
        "labels" => "label",
        "created_at" => "created",
        "updated_at" => "updated",
        "closed_at" => "closed",
        "started_at" => "started",
        "due_at" => "due",
        "spec_id" => "spec",
        other => other,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_nobody_means_is_refused_and_breaks_nothing() {
        let long = vec!["status=open"; 5000].join(" AND ");
        let deep = format!("{}status=open{}", "(".repeat(5000), ")".repeat(5000));
        let nots = format!("{}status=open", "NOT ".repeat(3000));
        let odd = [
            "", " ", "=", "a", "a=", "=a", "a!b", "'", "\"a", "a='b", "(a=b", "a=b)", "AND", "ä≤ö",
            "a=b c",
        ];
        for text in odd.into_iter().chain([&*long, &*deep, &*nots]) {
            let short: String = text.chars().take(20).collect();
            assert!(parse(text).is_err(), "{short}");
        }
        assert!(parse(&vec!["status=open"; 900].join(" OR ")).is_ok());
    }

    #[test]
    fn and_binds_closer_than_or_and_not_closest() {
        let read = |text: &str| parse(text).map_or_else(|error| error, |it| it.to_string());
        assert_eq!(read("a=1 or b=2 and not c=3"), "(a=1 OR (b=2 AND NOT c=3))");
        assert_eq!(
            read("A=1 AND Labels='x y' AND metadata.Key!=2"),
            "((a=1 AND label=x y) AND metadata.Key!=2)"
        );
        assert_eq!(read(r#"title="say \"hi\"""#), "title=say \"hi\"");
        assert_eq!(read("updated_at>=7d"), "updated>=7d");
    }
}
