//! Warns of certificates that are loaded and can't be believed at the time.

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, parse_x509_certificate};

/// When the certificate expires.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    let seconds = certificate.validity().not_after.timestamp();
    let since = Duration::from_secs(seconds.unsigned_abs());
    match seconds < 0 {
        true => UNIX_EPOCH.checked_sub(since),
        false => UNIX_EPOCH.checked_add(since),
    }
}

/// Logs each certificate that has expired or is not valid yet.
pub(super) fn warn_unless_valid(certificates: &[CertificateDer<'_>], file: Option<&Path>) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    for certificate in certificates {
        let Ok((_, certificate)) = parse_x509_certificate(certificate) else {
            continue;
        };
        if let Some(wrong) = wrong_at(now, &certificate) {
            let file = file
                .map(|path| path.display().to_string())
                .unwrap_or_default();
            let subject = certificate.subject().to_string();
            let subject = subject.escape_debug();
            tracing::warn!(%file, %subject, "{wrong}");
        }
    }
}

fn wrong_at(now: i64, certificate: &X509Certificate<'_>) -> Option<String> {
    let validity = certificate.validity();
    if validity.not_after.timestamp() < now {
        Some(format!("certificate has expired: {}", validity.not_after))
    } else if validity.not_before.timestamp() > now {
        Some(format!(
            "certificate is not valid before {}",
            validity.not_before
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn a_certificate_is_valid_from_its_first_second_to_its_last() {
        let mut params = CertificateParams::new(vec!["server.test".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 2, 1);
        let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let (_, certificate) = parse_x509_certificate(der.der()).unwrap();
        let (from, until) = (1_767_225_600, 1_769_904_000);
        let wrong = |now| wrong_at(now, &certificate).unwrap_or_default();
        assert!(wrong(from - 1).starts_with("certificate is not valid before"));
        assert_eq!(wrong(from), "");
        assert_eq!(wrong(until), "");
        assert!(wrong(until + 1).starts_with("certificate has expired"));
        let expires = not_after(der.der()).unwrap();
        assert_eq!(expires, UNIX_EPOCH + Duration::from_secs(1_769_904_000));
    }
}
