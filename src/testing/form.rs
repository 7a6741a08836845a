//! Forms with files, as a [`TestClient`](super::TestClient) sends them.

/// Encodes a form (RFC 7578 §4), with a boundary that is in none of its contents. Returns the media type and the form.
pub(super) fn encode(parts: &[(String, Option<String>, Vec<u8>)]) -> (String, Vec<u8>) {
    let is_free = |boundary: &String| {
        let inside = |content: &[u8]| content.windows(boundary.len()).any(|bytes| bytes == boundary.as_bytes());
        parts.iter().all(|(.., content)| !inside(content))
    };
    let boundary = (0..).map(|number| format!("boundary-{number}")).find(is_free).unwrap_or_default();
    let mut form = Vec::new();
    for (name, file_name, content) in parts {
        let mut header = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", escape(name));
        if let Some(file_name) = file_name {
            header += &format!("; filename=\"{}\"\r\nContent-Type: application/octet-stream", escape(file_name));
        }
        form.extend([header.as_bytes(), b"\r\n\r\n", content, b"\r\n"].concat());
    }
    form.extend(format!("--{boundary}--\r\n").bytes());
    (format!("multipart/form-data; boundary={boundary}"), form)
}

/// Encodes a name as browsers do.
fn escape(name: &str) -> String {
    name.replace('\r', "%0D").replace('\n', "%0A").replace('"', "%22")
}
