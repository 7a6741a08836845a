use super::{all, reply_of};

#[test]
fn a_name_of_any_kind_is_sent_as_a_file_name() {
    let table = [
        ("report.pdf", "attachment; filename=\"report.pdf\""),
        ("two words.pdf", "attachment; filename=\"two words.pdf\""),
        ("", "attachment"),
        (" ", "attachment"),
        (".", "attachment"),
        ("..", "attachment"),
        ("a/..", "attachment"),
        ("a/", "attachment"),
        ("/etc/passwd", "attachment; filename=\"passwd\""),
        ("..\\..\\boot.ini", "attachment; filename=\"boot.ini\""),
        ("C:\\dir/mixed.txt", "attachment; filename=\"mixed.txt\""),
        (".htaccess", "attachment; filename=\".htaccess\""),
        ("a;b='c'.txt", "attachment; filename=\"a;b='c'.txt\""),
        ("say \"hi\".txt", "attachment; filename=\"say _hi_.txt\"; filename*=UTF-8''say%20%22hi%22.txt"),
        ("100%25.txt", "attachment; filename=\"100_25.txt\"; filename*=UTF-8''100%2525.txt"),
        ("na\u{ef}ve.txt", "attachment; filename=\"na_ve.txt\"; filename*=UTF-8''na%C3%AFve.txt"),
        ("\u{20ac} rates.csv", "attachment; filename=\"_ rates.csv\"; filename*=UTF-8''%E2%82%AC%20rates.csv"),
        ("\u{1f600}", "attachment; filename=\"_\"; filename*=UTF-8''%F0%9F%98%80"),
        ("a\r\nSet-Cookie: b=c", "attachment; filename=\"a__Set-Cookie: b=c\""),
        ("a\0b\tc\x7f.txt", "attachment; filename=\"a_b_c_.txt\""),
        // What is shown as "exe.jpg" is not that.
        ("\u{202e}gpj.exe", "attachment; filename=\"_gpj.exe\""),
        ("\u{e9}(1)*'.txt", "attachment; filename=\"_(1)*'.txt\"; filename*=UTF-8''%C3%A9%281%29%2A%27.txt"),
    ];
    for (name, expected) in table {
        let reply = reply_of(move |res| res.attachment(name).send("x"));
        assert_eq!(all(&reply, "content-disposition"), [expected], "{name:?}");
        assert_eq!((reply.status(), reply.header("content-type")), (200, Some("application/octet-stream")));
    }
}

/// Such a name comes with a form, for example, and a proxy would refuse the reply to the next download.
#[test]
fn a_long_name_is_cut_before_its_extension() {
    let reply = reply_of(|res| res.attachment(&("\u{1f600}".repeat(2000) + ".pdf")).text("x"));
    let (shown, encoded) = ("_".repeat(49), "%F0%9F%98%80".repeat(49));
    let expected = format!("attachment; filename=\"{shown}.pdf\"; filename*=UTF-8''{encoded}.pdf");
    assert_eq!(all(&reply, "content-disposition"), [expected]);
}

#[test]
fn the_last_attachment_counts() {
    let reply = reply_of(|res| res.attachment("a").attachment("b").text("x"));
    assert_eq!(all(&reply, "content-disposition"), ["attachment; filename=\"b\""]);
}
