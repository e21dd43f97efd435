//! Where things stand on the picture, in logical pixels.

use super::canvas::Area;

/// Free space at the edges.
pub const MARGIN: f64 = 28.0;
/// Room for axis titles and tick labels left of the plots.
const LEFT_GUTTER: f64 = 110.0;
/// Room for direct labels right of the plots.
const RIGHT_GUTTER: f64 = 180.0;
/// Height of a panel's title.
const TITLE: f64 = 24.0;
/// Height of each further line of a key.
pub const KEY_LINE: f64 = 18.0;
/// Free space between panels.
const GAP: f64 = 12.0;
/// Height of the lane with launches and terminations, gap above included.
const LANE: f64 = 40.0;
/// Height of header, of the strip that names the pieces of a cut axis, of tick labels and of the
/// footer.
const HEADER: f64 = 96.0;
const STRIP: f64 = 40.0;
const AXIS: f64 = 40.0;
const FOOTER: f64 = 22.0;
/// Height of the plots in the last row, and of the tick labels below them.
const LAST_PLOT: f64 = 92.0;
const LAST_AXIS: f64 = 26.0;
/// Pictures lower than this have no last row.
const WITH_LAST_ROW: f64 = 1_100.0;
/// Free space between the two plots of the last row: axis title and tick labels of the right one.
const BETWEEN: f64 = 110.0;

/// A panel: a title line above a plot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Panel {
    /// Baseline of the title.
    pub title: f64,
    /// The plot.
    pub plot: Area,
}

/// The places of all panels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layout {
    /// Title, subtitle, key figures.
    pub header: Area,
    /// Names of the pieces of a cut axis.
    pub strip: Area,
    /// Nodes by instance type.
    pub nodes: Panel,
    /// Launches and terminations, below the nodes.
    pub lane: Area,
    /// Dollars per hour.
    pub rate: Panel,
    /// Dollars in all.
    pub total: Panel,
    /// Pods.
    pub pods: Panel,
    /// Requested of allocatable.
    pub utilization: Panel,
    /// Disruptions.
    pub disruptions: Panel,
    /// Waits of pods and lifetimes of nodes; none on a low picture.
    pub distributions: Option<(Panel, Panel)>,
    /// Right end of direct labels.
    pub labels_right: f64,
    /// Baseline of the footer.
    pub footer: f64,
}

/// The left and right ends of all plots on a picture of a width.
pub fn plot_span(width: f64) -> (f64, f64) {
    (MARGIN + LEFT_GUTTER, width - MARGIN - RIGHT_GUTTER)
}

impl Layout {
    /// Places everything on a picture of a size. `key_lines` are the lines of the key of instance
    /// types that do not fit beside the title; `cut` says that the axis has pieces to name.
    pub fn new(width: f64, height: f64, key_lines: usize, cut: bool) -> Layout {
        let (left, right) = plot_span(width);
        let strip_height = if cut { STRIP } else { 6.0 };
        let top = MARGIN + HEADER;
        let last_row = if height < WITH_LAST_ROW { 0.0 } else { TITLE + LAST_PLOT + LAST_AXIS };
        let bottom = height - MARGIN - FOOTER - last_row - AXIS;
        let key = KEY_LINE * key_lines as f64;
        let fixed = strip_height + 6.0 * TITLE + key + LANE + 5.0 * GAP;
        let free = bottom - top - fixed;
        let mut at = top + strip_height;
        let mut place = |share: f64, key: f64, below: f64| {
            let plot_top = at + TITLE + key;
            let plot_bottom = plot_top + libm::floor(free * share / 98.0);
            let panel =
                Panel { title: at + 17.0, plot: Area::new(left, plot_top, right, plot_bottom) };
            at = plot_bottom + below + GAP;
            panel
        };
        let nodes = place(22.0, key, LANE);
        let lane_top = nodes.plot.bottom + 6.0;
        Layout {
            header: Area::new(MARGIN, MARGIN, width - MARGIN, top),
            strip: Area::new(left, top, right, top + strip_height),
            nodes,
            lane: Area::new(left, lane_top, right, nodes.plot.bottom + LANE),
            rate: place(18.0, 0.0, 0.0),
            total: place(11.0, 0.0, 0.0),
            pods: place(15.0, 0.0, 0.0),
            utilization: place(12.0, 0.0, 0.0),
            disruptions: place(20.0, 0.0, 0.0),
            distributions: (last_row > 0.0).then(|| last_row_panels(bottom + AXIS, left, right)),
            labels_right: width - MARGIN,
            footer: height - MARGIN,
        }
    }
}

/// Two panels side by side below the time axis.
fn last_row_panels(top: f64, left: f64, right: f64) -> (Panel, Panel) {
    let (plot_top, plot_bottom) = (top + TITLE, top + TITLE + LAST_PLOT);
    let width = libm::floor((right - left - BETWEEN) / 2.0);
    let panel = |left: f64, right: f64| Panel {
        title: top + 17.0,
        plot: Area::new(left, plot_top, right, plot_bottom),
    };
    (panel(left, left + width), panel(right - width, right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_follow_each_other_within_the_margins() {
        for (width, height, lines, cut) in [(1600.0, 1200.0, 0, true), (1000.0, 900.0, 2, false)] {
            let layout = Layout::new(width, height, lines, cut);
            let panels = [
                layout.nodes,
                layout.rate,
                layout.total,
                layout.pods,
                layout.utilization,
                layout.disruptions,
            ];
            for panel in panels {
                assert!(panel.plot.bottom - panel.plot.top >= 40.0, "{panel:?}");
                assert!(panel.title < panel.plot.top);
            }
            for pair in panels.windows(2) {
                assert!(pair[0].plot.bottom < pair[1].title);
            }
            assert_eq!(layout.distributions.is_some(), height >= WITH_LAST_ROW);
            if let Some((waits, lives)) = layout.distributions {
                assert!(layout.disruptions.plot.bottom + AXIS <= waits.title);
                assert!(waits.plot.right + BETWEEN <= lives.plot.left);
                assert!(lives.plot.bottom + LAST_AXIS <= layout.footer);
            }
            assert!(layout.disruptions.plot.bottom + AXIS <= layout.footer);
            assert!(layout.footer <= height - 24.0);
        }
    }
}
