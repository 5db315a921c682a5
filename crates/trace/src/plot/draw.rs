//! Panels onto a page, by plotters; text stays text, so that no font is needed.

use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, ChartContext, LabelAreaPosition};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea as _};
use plotters::element::{Circle, Cross, EmptyElement, PathElement, Polygon, Rectangle, Text};
use plotters::series::{AreaSeries, DashedLineSeries, LineSeries};
use plotters::style::{Color as _, IntoFont as _, RGBColor, ShapeStyle, TRANSPARENT, WHITE};

use super::Undrawable;
use super::compact::compact;
use super::panel::{Colour, Form, GREY, INK, Key, Look, Panel, Sample, Shape};

/// Width of a picture, pixels.
const WIDTH: u32 = 1240;
/// Height of the words above the panels.
const HEAD: u32 = 58;
/// Left of a panel's axis, for its numbers.
const LABELS: u32 = 70;
const RIGHT: u32 = 24;
/// Above a panel, for its title and legend.
const TITLE: u32 = 30;
/// Beneath a panel, for the times.
const TIMES: u32 = 34;
/// Width of a letter of the legend, pixels; fonts differ a little.
const LETTER: f64 = 5.9;
/// Between the lines of a legend.
const LINE: u32 = 20;

type Svg<'a> = SVGBackend<'a>;
type Area<'a> = DrawingArea<Svg<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, Svg<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

impl From<DrawingAreaErrorKind<std::io::Error>> for Undrawable {
    fn from(error: DrawingAreaErrorKind<std::io::Error>) -> Self {
        Self(error.to_string())
    }
}

/// Draws the panels one beneath the other.
pub(super) fn page(title: &str, subtitle: &str, panels: &[Panel]) -> Result<String, Undrawable> {
    let height = HEAD + panels.iter().map(tall).sum::<u32>() + 10;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE)?;
        let font = ("sans-serif", 20).into_font();
        root.draw(&Text::new(
            title.to_owned(),
            (16, 12),
            font.color(&rgb(INK)),
        ))?;
        let font = ("sans-serif", 14).into_font();
        root.draw(&Text::new(
            subtitle.to_owned(),
            (16, 38),
            font.color(&rgb((0x6b, 0x72, 0x80))),
        ))?;
        let mut top = HEAD;
        for panel in panels {
            let area = root.clone().shrink((0, pixel(top)), (WIDTH, tall(panel)));
            draw(&area, panel)?;
            top += tall(panel);
        }
        root.present()?;
    }
    Ok(compact(&svg))
}

/// A panel with all lines of its legend.
fn tall(panel: &Panel) -> u32 {
    let more = lines(panel).len().saturating_sub(1);
    panel.height + LINE * u32::try_from(more).unwrap_or(0)
}

fn draw(area: &Area<'_>, panel: &Panel) -> Drawn {
    let font = ("sans-serif", 14).into_font();
    area.draw(&Text::new(
        panel.title.clone(),
        (pixel(LABELS), 8),
        font.color(&rgb(INK)),
    ))?;
    legend(area, panel)?;
    let mut chart = ChartBuilder::on(area)
        .margin_top(TITLE + tall(panel) - panel.height)
        .margin_right(RIGHT)
        .set_label_area_size(LabelAreaPosition::Left, LABELS)
        .set_label_area_size(LabelAreaPosition::Bottom, TIMES)
        .build_cartesian_2d(panel.x.from..panel.x.to, panel.y.0..panel.y.1)?;
    chart
        .configure_mesh()
        .x_labels(12)
        .y_labels((panel.height / 36) as usize)
        .light_line_style(TRANSPARENT)
        .bold_line_style(rgb((0xe5, 0xe7, 0xeb)))
        .axis_style(rgb(GREY))
        .label_style(
            ("sans-serif", 12)
                .into_font()
                .color(&rgb((0x6b, 0x72, 0x80))),
        )
        .x_label_formatter(&|at| format!("{} s", short(*at)))
        .y_label_formatter(&|y| short(*y))
        .draw()?;
    for shape in &panel.shapes {
        put(&mut chart, panel, shape)?;
    }
    Ok(())
}

fn put(chart: &mut Chart<'_, '_>, panel: &Panel, shape: &Shape) -> Drawn {
    let (low, high) = panel.y;
    match shape {
        Shape::Line {
            points,
            colour,
            look,
        } => line(chart, panel, (points, *colour, *look)),
        Shape::Ground { points, colour } => {
            let area = AreaSeries::new(points.iter().copied(), low, rgb(*colour).mix(0.25));
            chart.draw_series(area).map(drop)
        }
        Shape::Band { span, colour, .. } => {
            let corners = [(span.from, low), (span.to, high)];
            let band = Rectangle::new(corners, rgb(*colour).mix(0.13).filled());
            chart.draw_series([band]).map(drop)
        }
        Shape::Stroke {
            at,
            from,
            to,
            colour,
            width,
        } => {
            let stroke = PathElement::new([(*at, *from), (*at, *to)], style(*colour, *width));
            chart.draw_series([stroke]).map(drop)
        }
        Shape::Mark {
            at,
            y,
            colour,
            form,
        } => {
            let style = style(*colour, 1);
            match form {
                Form::Dot => chart
                    .draw_series([Circle::new((*at, *y), 3, style.filled())])
                    .map(drop),
                Form::Cross => chart
                    .draw_series([Cross::new((*at, *y), 3, style)])
                    .map(drop),
                Form::Tick => {
                    let tick = EmptyElement::at((*at, high))
                        + PathElement::new([(0, 1), (0, 11)], self::style(*colour, 1));
                    chart.draw_series([tick]).map(drop)
                }
            }
        }
    }
}

fn line(
    chart: &mut Chart<'_, '_>,
    panel: &Panel,
    (points, colour, look): (&[(f64, f64)], Colour, Look),
) -> Drawn {
    // What is higher than the panel runs along its edge.
    let points = points.iter().map(|&(at, y)| (at, y.min(panel.y.1)));
    match look {
        Look::Dashed => chart
            .draw_series(DashedLineSeries::new(points, 6, 5, style(colour, 1)))
            .map(drop),
        _ => chart
            .draw_series(LineSeries::new(points, style(colour, stroke(look))))
            .map(drop),
    }
}

/// The keys, in lines that fit beside the title.
fn lines(panel: &Panel) -> Vec<Vec<&Key>> {
    let title = u16::try_from(panel.title.chars().count()).unwrap_or(u16::MAX);
    let room = f64::from(WIDTH - LABELS - RIGHT) - f64::from(title) * 7.0 - 30.0;
    let mut lines: Vec<Vec<&Key>> = vec![Vec::new()];
    let mut taken = 0.0;
    for key in &panel.legend {
        if taken + width(key) > room && taken > 0.0 {
            lines.push(Vec::new());
            taken = 0.0;
        }
        taken += width(key);
        if let Some(line) = lines.last_mut() {
            line.push(key);
        }
    }
    lines
}

/// The lines of keys, each ending at the right edge.
fn legend(area: &Area<'_>, panel: &Panel) -> Drawn {
    let mut y = 0;
    for line in lines(panel) {
        let wide: f64 = line.iter().map(|key| width(key)).sum();
        let mut x = f64::from(WIDTH - RIGHT) - wide;
        for key in line {
            sample(area, key, (whole(x), y))?;
            let font = ("sans-serif", 13).into_font();
            let style = font.color(&rgb((0x37, 0x41, 0x51)));
            area.draw(&Text::new(key.words.clone(), (whole(x) + 24, y + 9), style))?;
            x += width(key);
        }
        y += pixel(LINE);
    }
    Ok(())
}

fn sample(area: &Area<'_>, key: &Key, (x, y): (i32, i32)) -> Drawn {
    let colour = rgb(key.colour);
    match key.sample {
        Sample::Block => area.draw(&Rectangle::new(
            [(x + 4, y + 10), (x + 18, y + 20)],
            colour.filled(),
        )),
        Sample::Line(Look::Dashed) => {
            for from in [0, 8, 16] {
                let dash = [(x + from, y + 15), (x + from + 5, y + 15)];
                area.draw(&PathElement::new(dash, style(key.colour, 1)))?;
            }
            Ok(())
        }
        Sample::Line(look) => {
            let line = [(x, y + 15), (x + 20, y + 15)];
            area.draw(&PathElement::new(line, style(key.colour, stroke(look) + 1)))
        }
        Sample::Mark(Form::Dot) => area.draw(&Circle::new((x + 12, y + 15), 3, colour.filled())),
        Sample::Mark(Form::Cross) => {
            area.draw(&Cross::new((x + 12, y + 15), 4, style(key.colour, 2)))
        }
        Sample::Mark(Form::Tick) => area.draw(&Polygon::new(
            vec![
                (x + 11, y + 9),
                (x + 13, y + 9),
                (x + 13, y + 21),
                (x + 11, y + 21),
            ],
            colour.filled(),
        )),
    }
}

/// Pixels of a key with its words and the space after it.
fn width(key: &Key) -> f64 {
    let letters = u16::try_from(key.words.chars().count()).unwrap_or(u16::MAX);
    f64::from(letters) * LETTER + 44.0
}

const fn stroke(look: Look) -> u32 {
    match look {
        Look::Bold => 2,
        Look::Thin | Look::Dashed => 1,
    }
}

fn style(colour: Colour, width: u32) -> ShapeStyle {
    rgb(colour).stroke_width(width)
}

const fn rgb((r, g, b): Colour) -> RGBColor {
    RGBColor(r, g, b)
}

fn pixel(at: u32) -> i32 {
    i32::try_from(at).unwrap_or(i32::MAX)
}

fn whole(x: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "a pixel of the page")]
    let whole = x.round() as i32;
    whole
}

/// A number of an axis without the noise of its last digits.
fn short(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.is_empty() || text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}
