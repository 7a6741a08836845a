//! Maps the extension of a file name to a media type.
//!
//! The table has the extensions that web servers meet: those of nginx and Go, those of Apache that are still in use,
//! and newer ones. The types are those of the npm package `mime-db` 1.54.0. Where it has several for an extension, the
//! table has a type that is registered with IANA, if there is one. XML is `text/xml`, as in nginx and Go. Four kinds of
//! entries differ from `mime-db`:
//!
//! - IANA has registered a type, and `mime-db` does not have it for that extension: `arrow`, `cbor`, `deb`, `flac`,
//!   `mka`, `mkv`, `mml`, `parquet`, `prc`, `sqlite`, `sqlite3`, `vcf`, `yaml`, `yml`, `zst`.
//! - The source code of a program is `text/plain`: every browser shows it, and few languages have a registered type.
//!   But `jsx`, `jsm`, `es` and `ecma` are `text/javascript`, because a browser runs no script of another type.
//! - `mime-db` does not know `cur`, `tgz` and `mobileconfig` (its type is Apple's), and has an old type for `jfif`.
//! - The table leaves out `bin`, `dmg`, `exe`, `img`, `iso` and `msi`: their type would be `application/octet-stream`,
//!   which is also the default.

/// Makes the look-up function, and for the tests a table with the same entries.
macro_rules! media_types {
    ($($($extension:literal)|+ => $media_type:literal,)+) => {
        /// The media type of an extension in lower case.
        pub(super) fn media_type(extension: &str) -> Option<&'static str> {
            // A sorted table of `&str` is more than twice as large and slower to search. Each of its entries takes 80
            // bytes besides its text, and 48 of them are relocations for the loader.
            Some(match extension {
                $($($extension)|+ => $media_type,)+
                _ => return None,
            })
        }

        #[cfg(test)]
        const TABLE: &[(&[&str], &str)] = &[$((&[$($extension),+], $media_type)),+];
    };
}

// Sorted by media type, then by extension.
media_types! {
    "appinstaller" => "application/appinstaller",
    "appx" => "application/appx",
    "appxbundle" => "application/appxbundle",
    "atom" => "application/atom+xml",
    "cbor" => "application/cbor",
    "mpd" => "application/dash+xml",
    "dcm" => "application/dicom",
    "epub" => "application/epub+zip",
    "geojson" => "application/geo+json",
    "gpx" => "application/gpx+xml",
    "gz" | "tgz" => "application/gzip",
    "ear" | "jar" | "war" => "application/java-archive",
    "json" | "map" => "application/json",
    "json5" => "application/json5",
    "jsonld" => "application/ld+json",
    "hqx" => "application/mac-binhex40",
    "webmanifest" => "application/manifest+json",
    "mathml" | "mml" => "application/mathml+xml",
    "msix" => "application/msix",
    "msixbundle" => "application/msixbundle",
    "doc" | "dot" => "application/msword",
    "nq" => "application/n-quads",
    "nt" => "application/n-triples",
    "cjs" => "application/node",
    "ogx" => "application/ogg",
    "oxps" => "application/oxps",
    "pdf" => "application/pdf",
    "pgp" => "application/pgp-encrypted",
    "asc" | "sig" => "application/pgp-signature",
    "p7c" | "p7m" => "application/pkcs7-mime",
    "p7s" => "application/pkcs7-signature",
    "p8" => "application/pkcs8",
    "cer" => "application/pkix-cert",
    "crl" => "application/pkix-crl",
    "ai" | "eps" | "ps" => "application/postscript",
    "owl" | "rdf" => "application/rdf+xml",
    "rss" => "application/rss+xml",
    "rtf" => "application/rtf",
    "smi" | "smil" => "application/smil+xml",
    "rq" => "application/sparql-query",
    "sql" => "application/sql",
    "toml" => "application/toml",
    "trig" => "application/trig",
    "ttml" => "application/ttml+xml",
    "air" => "application/vnd.adobe.air-application-installer-package+zip",
    "azw" => "application/vnd.amazon.ebook",
    "apk" => "application/vnd.android.package-archive",
    "arrow" => "application/vnd.apache.arrow.file",
    "parquet" => "application/vnd.apache.parquet",
    "mpkg" => "application/vnd.apple.installer+xml",
    "key" => "application/vnd.apple.keynote",
    "m3u8" => "application/vnd.apple.mpegurl",
    "numbers" => "application/vnd.apple.numbers",
    "pages" => "application/vnd.apple.pages",
    "pkpass" => "application/vnd.apple.pkpass",
    "deb" => "application/vnd.debian.binary-package",
    "kml" => "application/vnd.google-earth.kml+xml",
    "kmz" => "application/vnd.google-earth.kmz",
    "mvt" => "application/vnd.mapbox-vector-tile",
    "cab" => "application/vnd.ms-cab-compressed",
    "xls" | "xlt" => "application/vnd.ms-excel",
    "xlsb" => "application/vnd.ms-excel.sheet.binary.macroenabled.12",
    "xlsm" => "application/vnd.ms-excel.sheet.macroenabled.12",
    "eot" => "application/vnd.ms-fontobject",
    "msg" => "application/vnd.ms-outlook",
    "pot" | "pps" | "ppt" => "application/vnd.ms-powerpoint",
    "pptm" => "application/vnd.ms-powerpoint.presentation.macroenabled.12",
    "mpp" => "application/vnd.ms-project",
    "docm" => "application/vnd.ms-word.document.macroenabled.12",
    "xps" => "application/vnd.ms-xpsdocument",
    "odg" => "application/vnd.oasis.opendocument.graphics",
    "odp" => "application/vnd.oasis.opendocument.presentation",
    "otp" => "application/vnd.oasis.opendocument.presentation-template",
    "ods" => "application/vnd.oasis.opendocument.spreadsheet",
    "ots" => "application/vnd.oasis.opendocument.spreadsheet-template",
    "odt" => "application/vnd.oasis.opendocument.text",
    "ott" => "application/vnd.oasis.opendocument.text-template",
    "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "ppsx" => "application/vnd.openxmlformats-officedocument.presentationml.slideshow",
    "potx" => "application/vnd.openxmlformats-officedocument.presentationml.template",
    "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xltx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.template",
    "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "dotx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.template",
    "pdb" | "prc" => "application/vnd.palm",
    "rar" => "application/vnd.rar",
    "sqlite" | "sqlite3" => "application/vnd.sqlite3",
    "vsd" => "application/vnd.visio",
    "wmlc" => "application/vnd.wap.wmlc",
    "wasm" => "application/wasm",
    "wsdl" => "application/wsdl+xml",
    "7z" => "application/x-7z-compressed",
    "mobileconfig" => "application/x-apple-aspen-config",
    "torrent" => "application/x-bittorrent",
    "bz2" => "application/x-bzip2",
    "crx" => "application/x-chrome-extension",
    "cco" => "application/x-cocoa",
    "jardiff" => "application/x-java-archive-diff",
    "jnlp" => "application/x-java-jnlp-file",
    "latex" => "application/x-latex",
    "run" => "application/x-makeself",
    "mobi" => "application/x-mobipocket-ebook",
    "pac" => "application/x-ns-proxy-autoconfig",
    "pl" | "pm" => "application/x-perl",
    "p12" | "pfx" => "application/x-pkcs12",
    "rpm" => "application/x-redhat-package-manager",
    "sea" => "application/x-sea",
    "sh" => "application/x-sh",
    "swf" => "application/x-shockwave-flash",
    "sit" => "application/x-stuffit",
    "srt" => "application/x-subrip",
    "tar" => "application/x-tar",
    "tcl" | "tk" => "application/x-tcl",
    "tex" => "application/x-tex",
    "webapp" => "application/x-web-app-manifest+json",
    "crt" | "der" | "pem" => "application/x-x509-ca-cert",
    "xpi" => "application/x-xpinstall",
    "xz" => "application/x-xz",
    "xht" | "xhtml" => "application/xhtml+xml",
    "rng" | "xsd" => "application/xml",
    "dtd" => "application/xml-dtd",
    "xsl" | "xslt" => "application/xslt+xml",
    "xspf" => "application/xspf+xml",
    "yaml" | "yml" => "application/yaml",
    "zip" => "application/zip",
    "zst" => "application/zstd",
    "aac" | "adts" => "audio/aac",
    "amr" => "audio/amr",
    "au" | "snd" => "audio/basic",
    "flac" => "audio/flac",
    "mka" => "audio/matroska",
    "kar" | "mid" | "midi" => "audio/midi",
    "m4a" | "m4b" => "audio/mp4",
    "mp2" | "mp3" | "mpga" => "audio/mpeg",
    "oga" | "ogg" | "opus" | "spx" => "audio/ogg",
    "wav" => "audio/wav",
    "weba" => "audio/webm",
    "aif" | "aifc" | "aiff" => "audio/x-aiff",
    "caf" => "audio/x-caf",
    "m3u" => "audio/x-mpegurl",
    "wma" => "audio/x-ms-wma",
    "ra" => "audio/x-realaudio",
    "ttc" => "font/collection",
    "otf" => "font/otf",
    "ttf" => "font/ttf",
    "woff" => "font/woff",
    "woff2" => "font/woff2",
    "apng" => "image/apng",
    "avif" => "image/avif",
    "bmp" => "image/bmp",
    "emf" => "image/emf",
    "gif" => "image/gif",
    "heic" => "image/heic",
    "heif" => "image/heif",
    "jp2" => "image/jp2",
    "jfif" | "jpe" | "jpeg" | "jpg" => "image/jpeg",
    "jxl" => "image/jxl",
    "ktx" => "image/ktx",
    "ktx2" => "image/ktx2",
    "png" => "image/png",
    "svg" | "svgz" => "image/svg+xml",
    "tif" | "tiff" => "image/tiff",
    "psd" => "image/vnd.adobe.photoshop",
    "djv" | "djvu" => "image/vnd.djvu",
    "cur" | "ico" => "image/vnd.microsoft.icon",
    "dds" => "image/vnd.ms-dds",
    "wbmp" => "image/vnd.wap.wbmp",
    "webp" => "image/webp",
    "wmf" => "image/wmf",
    "jng" => "image/x-jng",
    "pbm" => "image/x-portable-bitmap",
    "pgm" => "image/x-portable-graymap",
    "ppm" => "image/x-portable-pixmap",
    "tga" => "image/x-tga",
    "xbm" => "image/x-xbitmap",
    "xpm" => "image/x-xpixmap",
    "eml" | "mht" | "mhtml" => "message/rfc822",
    "3mf" => "model/3mf",
    "gltf" => "model/gltf+json",
    "glb" => "model/gltf-binary",
    "mtl" => "model/mtl",
    "obj" => "model/obj",
    "step" | "stp" => "model/step",
    "stl" => "model/stl",
    "dae" => "model/vnd.collada+xml",
    "usdz" => "model/vnd.usdz+zip",
    "vrml" | "wrl" => "model/vrml",
    "appcache" | "manifest" => "text/cache-manifest",
    "ics" | "ifb" => "text/calendar",
    "css" => "text/css",
    "csv" => "text/csv",
    "htm" | "html" | "shtml" => "text/html",
    "ecma" | "es" | "js" | "jsm" | "jsx" | "mjs" => "text/javascript",
    "less" => "text/less",
    "markdown" | "md" => "text/markdown",
    "n3" => "text/n3",
    "asm" | "bas" | "c" | "cc" | "cfg" | "cmd" | "cnf" | "conf" | "cpp" | "cs" | "csproj" | "cxx" | "def" | "diff" | "f"
    | "f77" | "f90" | "go" | "h" | "hh" | "hpp" | "hxx" | "idl" | "in" | "inc" | "ini" | "inl" | "java" | "list" | "log"
    | "lst" | "lua" | "mk" | "nfo" | "pas" | "patch" | "py" | "rb" | "rc" | "reg" | "rs" | "s" | "sln" | "text" | "txt"
    | "vb" => "text/plain",
    "tsv" => "text/tab-separated-values",
    "ttl" => "text/turtle",
    "uri" | "uris" | "urls" => "text/uri-list",
    "vcard" | "vcf" => "text/vcard",
    "jad" => "text/vnd.sun.j2me.app-descriptor",
    "wml" => "text/vnd.wap.wml",
    "vtt" => "text/vtt",
    "htc" => "text/x-component",
    "opml" => "text/x-opml",
    "sass" => "text/x-sass",
    "scss" => "text/x-scss",
    "xml" => "text/xml",
    "3gp" | "3gpp" => "video/3gpp",
    "3g2" => "video/3gpp2",
    "m4s" => "video/iso.segment",
    "mkv" => "video/matroska",
    "m2t" | "m2ts" | "mts" | "ts" => "video/mp2t",
    "mp4" | "mp4v" | "mpg4" => "video/mp4",
    "m1v" | "m2v" | "mpe" | "mpeg" | "mpg" => "video/mpeg",
    "ogv" => "video/ogg",
    "mov" | "qt" => "video/quicktime",
    "webm" => "video/webm",
    "f4v" => "video/x-f4v",
    "flv" => "video/x-flv",
    "m4v" => "video/x-m4v",
    "mng" => "video/x-mng",
    "asf" | "asx" => "video/x-ms-asf",
    "wmv" => "video/x-ms-wmv",
    "avi" => "video/x-msvideo",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::is_media_type;

    #[test]
    fn the_table_is_sorted_and_has_each_extension_once() {
        assert!(TABLE.is_sorted_by(|(_, before), (_, after)| before < after), "types are sorted and unique");
        let mut seen = BTreeSet::new();
        for (extensions, media_type) in TABLE {
            assert!(is_media_type(media_type), "{media_type}");
            assert!(media_type.bytes().all(|byte| !byte.is_ascii_uppercase() && byte != b';'), "{media_type}");
            assert!(extensions.is_sorted(), "{extensions:?}");
            for extension in *extensions {
                let is_plain = extension.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
                assert!(is_plain && !extension.is_empty(), "{extension:?}");
                assert!(seen.insert(extension), "{extension} has two types");
                assert_eq!(super::media_type(extension), Some(*media_type), "{extension}");
            }
        }
        assert_eq!((super::media_type(""), super::media_type("nobody-knows")), (None, None));
    }
}
