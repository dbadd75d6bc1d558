//! Which of the forms of a file a client wants: RFC 9110, 12.5.3.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// A form that a file is there in beside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Brotli.
    Brotli,
    /// Zstandard.
    Zstandard,
    /// What all clients know.
    Gzip,
}

impl Coding {
    /// All of them, those first that are smaller as a rule.
    pub const ALL: [Coding; 3] = [Coding::Brotli, Coding::Zstandard, Coding::Gzip];

    /// As fields call it.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstandard => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// What it puts behind the name of a file.
    pub fn suffix(self) -> &'static str {
        match self {
            Coding::Brotli => ".br",
            Coding::Zstandard => ".zst",
            Coding::Gzip => ".gz",
        }
    }
}

/// How much a client wants a form, from 0 to 1,000.
type Weight = u16;

/// What a client says of forms.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    codings: [Option<Weight>; 3],
    identity: Option<Weight>,
    rest: Option<Weight>,
}

impl Accepted {
    /// What the fields of a request say.
    pub fn of(fields: &HeaderMap) -> Self {
        let mut accepted = Self::default();
        for value in fields.get_all(ACCEPT_ENCODING) {
            for one in value.to_str().unwrap_or_default().split(',') {
                accepted.take(one);
            }
        }
        accepted
    }

    fn take(&mut self, one: &str) {
        let (name, parameters) = one.split_once(';').unwrap_or((one, ""));
        let Some(weight) = weight(parameters.trim()) else {
            return;
        };
        let name = name.trim();
        // RFC 9110, 8.4.1.3: `x-gzip` is the same.
        let named = |coding: &Coding| {
            name.eq_ignore_ascii_case(coding.name())
                || (*coding == Coding::Gzip && name.eq_ignore_ascii_case("x-gzip"))
        };
        let slot = match Coding::ALL.iter().position(named) {
            Some(place) => &mut self.codings[place],
            None if name == "*" => &mut self.rest,
            None if name.eq_ignore_ascii_case("identity") => &mut self.identity,
            None => return,
        };
        *slot = Some(weight);
    }

    /// The form that is wanted most of those that are there, or the file as it is.
    pub fn choose(&self, there: impl Fn(Coding) -> bool) -> Option<Coding> {
        // What is not said of the file itself puts it behind all that is wanted.
        let mut best = (self.identity.unwrap_or(0), None);
        for (coding, said) in Coding::ALL.into_iter().zip(self.codings) {
            let weight = said.or(self.rest).unwrap_or(0);
            let better = weight > best.0 || (weight == best.0 && best.1.is_none());
            if weight > 0 && better && there(coding) {
                best = (weight, Some(coding));
            }
        }
        best.1
    }
}

/// The weight among parameters, 1 where there is none; `None` for what is no weight.
fn weight(parameters: &str) -> Option<Weight> {
    if parameters.is_empty() {
        return Some(1000);
    }
    let value = parameters
        .strip_prefix(['q', 'Q'])?
        .trim_start()
        .strip_prefix('=')?
        .trim();
    let (whole, part) = value.split_once('.').unwrap_or((value, ""));
    if part.len() > 3 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: Weight = format!("{part:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn chosen(accepted: &[&'static str], there: &[Coding]) -> Option<&'static str> {
        let mut fields = HeaderMap::new();
        for value in accepted {
            fields.append(ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        let found = Accepted::of(&fields).choose(|coding| there.contains(&coding));
        found.map(Coding::name)
    }

    #[test]
    fn the_form_that_is_wanted_most_is_chosen() {
        let all = &Coding::ALL[..];
        for (accepted, there, expected) in [
            (&[][..], all, None),
            (&[""], all, None),
            (&["gzip"], all, Some("gzip")),
            (&["GZip"], all, Some("gzip")),
            (&["x-gzip"], all, Some("gzip")),
            (&["gzip, deflate, br, zstd"], all, Some("br")),
            (&["gzip", "br"], all, Some("br")),
            (&["gzip, br"], &[Coding::Gzip], Some("gzip")),
            (&["gzip;q=1.0, br;q=0.9"], all, Some("gzip")),
            (&["br;q=0, gzip;q=0.001"], all, Some("gzip")),
            (&["br ; Q = 0.5 , zstd;q=0.6"], all, Some("zstd")),
            (&["*"], all, Some("br")),
            (&["*;q=0.5, br;q=0"], all, Some("zstd")),
            (&["identity, gzip;q=0.5"], all, None),
            (&["identity;q=0.5, gzip;q=0.5"], all, Some("gzip")),
            (&["identity;q=0"], all, None),
            (&["deflate"], all, None),
            (&["gzip;q=0"], all, None),
            (&["gzip;q=1.1, br;q=2, zstd;q=.5"], all, None),
            (&["gzip;q=0.1234"], all, None),
            (&["gzip;level=9"], all, None),
        ] {
            assert_eq!(chosen(accepted, there), expected, "{accepted:?}");
        }
    }
}
