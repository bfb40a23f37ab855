//! Who a caller is: the operator, the container of a town, or one run of one agent.
//!
//! Pure: secrets and time come in, a [`Caller`] goes out. Tokens are compared in constant time and never
//! appear in an error. Agents carry a JSON web token (HS256) with the attempt in it; whether that attempt
//! is still the current one is for the engine to say.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use thiserror::Error;

use crate::id::Millis;

/// What an agent's token says. Names and case as in Gastown, plus the attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// Who.
    pub agent_id: String,
    /// In which rig.
    pub rig_id: String,
    /// In which town.
    pub town_id: String,
    /// For whom; the operator is the only user so far.
    pub user_id: String,
    /// Which run: the fencing token.
    pub attempt: i64,
    /// Issued at, in seconds since the epoch.
    pub iat: i64,
    /// Void from then on, in seconds since the epoch.
    pub exp: i64,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A person, or a program that acts for one; `actor` is the name they gave.
    Operator {
        /// For notes and events.
        actor: String,
    },
    /// The container service of a town.
    Container {
        /// Which town; a rig of another one refuses it.
        town: String,
    },
    /// One run of one agent.
    Agent(Claims),
}

/// Why a token was not taken. The texts are those of Gastown's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// No token, or another scheme than `Bearer`.
    #[error("Authentication required")]
    Missing,
    /// A token of nobody.
    #[error("Invalid token signature")]
    Signature,
    /// Ours, but not of the shape we issue.
    #[error("Invalid token payload")]
    Payload,
    /// Ours, but too old.
    #[error("Token expired")]
    Expired,
}

/// The secrets of a deployment. Of each there may be two while it is being changed: the first one signs, both are valid.
#[derive(Clone)]
pub struct Secrets {
    operator: Vec<String>,
    signing: Vec<String>,
}

/// The fewest bytes a secret may have: 128 bits written as hexadecimal.
pub const SECRET_BYTES_MIN: usize = 32;

impl Secrets {
    /// Takes the operator's token and the signing secret, each as `new` or `new,old`; a short one is refused with its
    /// name.
    pub fn new(operator: &str, signing: &str) -> Result<Self, String> {
        Ok(Self {
            operator: values("BEADRIG_TOKEN", operator)?,
            signing: values("BEADRIG_JWT_SECRET", signing)?,
        })
    }

    /// What a town's container may show, and be shown; the first one is for those that start now.
    pub fn container_tokens(&self, town: &str) -> Vec<String> {
        self.signing.iter().map(|it| container_token(it, town)).collect()
    }

    /// What the deployment's own objects show each other.
    pub fn operator_token(&self) -> &str {
        self.operator.first().map(String::as_str).unwrap_or_default()
    }

    /// Tells who sent this `Authorization` header.
    ///
    /// It needs no storage, so the worker asks it before it wakes an object for a stranger.
    pub fn caller(
        &self,
        authorization: Option<&str>,
        actor: Option<&str>,
        now: Millis,
    ) -> Result<Caller, TokenError> {
        let token = bearer(authorization).ok_or(TokenError::Missing)?;
        if self.operator.iter().any(|it| same(token, it)) {
            let actor = actor.map(str::trim).filter(|actor| !actor.is_empty());
            let actor = actor.unwrap_or("operator").chars().take(ACTOR_CHARS_MAX).collect();
            return Ok(Caller::Operator { actor });
        }
        if let Some((town, _)) =
            token.strip_prefix(CONTAINER_PREFIX).and_then(|rest| rest.rsplit_once('.'))
        {
            return if self.container_tokens(town).iter().any(|it| same(token, it)) {
                Ok(Caller::Container { town: town.to_owned() })
            } else {
                Err(TokenError::Signature)
            };
        }
        self.verify(token, now).map(Caller::Agent)
    }

    /// Signs an agent's token.
    pub fn sign(&self, claims: &Claims) -> String {
        let payload = serde_json::to_vec(claims).expect("claims are plain data");
        let signed = format!("{JWT_HEADER}.{}", URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(mac(&self.signing[0], signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn verify(&self, token: &str, now: Millis) -> Result<Claims, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Signature)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Signature)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Signature)?;
        let ours = |it: &String| bool::from(mac(it, signed.as_bytes()).ct_eq(&signature));
        if !self.signing.iter().any(ours) {
            return Err(TokenError::Signature);
        }
        // Signed by us; but another header could one day mean another algorithm.
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| TokenError::Payload)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| TokenError::Payload)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| TokenError::Payload)?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| TokenError::Payload)?;
        if header.alg != "HS256" {
            return Err(TokenError::Payload);
        }
        if claims.exp.saturating_mul(1000) <= now.0 {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }
}

/// One secret, or two with a comma.
fn values(name: &str, text: &str) -> Result<Vec<String>, String> {
    let values: Vec<String> = text.split(',').map(|it| it.trim().to_owned()).collect();
    if values.len() > SECRETS_MAX {
        return Err(format!(
            "{name} may hold {SECRETS_MAX} values with a comma, new and old; it has {}",
            values.len()
        ));
    }
    match values.iter().find(|it| it.len() < SECRET_BYTES_MIN) {
        Some(short) => Err(format!(
            "{name} must have at least {SECRET_BYTES_MIN} characters, it has {}",
            short.len()
        )),
        None => Ok(values),
    }
}

/// A secret and the one before it.
const SECRETS_MAX: usize = 2;

#[derive(Deserialize)]
struct Header {
    alg: String,
}

/// `{"alg":"HS256","typ":"JWT"}`
const JWT_HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// A name in a note; longer ones are cut.
const ACTOR_CHARS_MAX: usize = 64;

const CONTAINER_PREFIX: &str = "brc_";

/// The token that a town's container and its rigs show each other.
///
/// Derived, so that there is nothing to store, and a container of one town is a stranger in another.
pub fn container_token(signing: &str, town: &str) -> String {
    let digest = mac(signing, format!("beadrig container {town}").as_bytes());
    format!("{CONTAINER_PREFIX}{town}.{}", URL_SAFE_NO_PAD.encode(digest))
}

/// Compares in constant time for texts of one length.
pub fn same(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

/// The token in an `Authorization: Bearer …` header; the scheme in any case, as Gastown's clients send it.
pub fn bearer(authorization: Option<&str>) -> Option<&str> {
    let (scheme, token) = authorization?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn mac(secret: &str, message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length is a key");
    mac.update(message);
    mac.finalize().into_bytes().into()
}
