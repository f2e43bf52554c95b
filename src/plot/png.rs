//! The picture as PNG: the SVG, drawn with the one font that the program carries, so that every machine draws the
//! same pixels.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

/// Pixels for each unit of the SVG: sharp on the screens of today.
const SCALE: f32 = 2.0;

/// The bytes of a PNG file.
pub(super) fn document(svg: &str) -> Result<Vec<u8>, String> {
    let mut options = Options::default();
    let fonts = options.fontdb_mut();
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    // Whatever the style sheet asks for, this one is there.
    let name = fonts.faces().next().and_then(|f| f.families.first()).map(|(name, _)| name.clone());
    fonts.set_sans_serif_family(name.unwrap_or_default());
    let tree = Tree::from_str(svg, &options).map_err(|e| e.to_string())?;
    let size = tree.size().to_int_size().scale_by(SCALE).ok_or("the picture is too large")?;
    let mut pixels = Pixmap::new(size.width(), size.height()).ok_or("the picture is too large")?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().map_err(|e| e.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn texts_are_drawn_whatever_fonts_the_machine_has() {
        let style = super::super::svg::STYLE;
        let picture = |text: &str| {
            let svg = format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 200 60\" width=\"200\" height=\"60\" \
                 class=\"twinml\"><style>{style}</style><rect class=\"page\" width=\"200\" height=\"60\"/>\
                 <text class=\"title\" x=\"24\" y=\"36\">{text}</text></svg>"
            );
            Pixmap::decode_png(&document(&svg).unwrap()).unwrap()
        };
        let dark = |p: &Pixmap| p.pixels().iter().filter(|c| c.red() < 128 && c.alpha() > 200).count();
        let (none, some, more) = (picture(""), picture("Tank"), picture("Tank · 5 °C × 10"));
        assert_eq!((some.width(), some.height()), (400, 120));
        assert!(dark(&none) == 0 && dark(&some) > 100 && dark(&more) > 2 * dark(&some));
    }
}
