// Doughnuts, pies and bars. Only this file uses Chart.js.
import { ArcElement, BarController, BarElement, CategoryScale, Chart, DoughnutController, LinearScale, PieController, Tooltip } from 'chart.js';
import { css } from './palette.js';

Chart.register(ArcElement, BarController, BarElement, CategoryScale, DoughnutController, LinearScale, PieController, Tooltip);

const common = { animation: false, responsive: true, maintainAspectRatio: false, resizeDelay: 100 };

/**
 * createRound draws shares as a 'doughnut' or 'pie'. update(parts) takes [{label, value,
 * color}]; equal parts cost nothing.
 */
export function createRound(canvas, kind) {
  const chart = new Chart(canvas, {
    type: kind,
    data: { labels: [], datasets: [{ data: [], backgroundColor: [], borderWidth: 1 }] },
    options: { ...common, cutout: kind === 'doughnut' ? '66%' : 0, plugins: { tooltip: { enabled: true, displayColors: false } } },
  });
  let shown = '';
  return {
    update(parts) {
      const key = JSON.stringify(parts);
      if (key === shown) return;
      shown = key;
      chart.data.labels = parts.map((p) => p.label);
      Object.assign(chart.data.datasets[0], {
        data: parts.map((p) => p.value),
        backgroundColor: parts.map((p) => p.color),
        borderColor: css('--panel'),
      });
      chart.update('none');
    },
    destroy: () => chart.destroy(),
  };
}

/** createBars draws stacked bars. update(labels, stacks) takes stacks [{label, color, values}]. */
export function createBars(canvas) {
  const chart = new Chart(canvas, {
    type: 'bar',
    data: { labels: [], datasets: [] },
    options: {
      ...common,
      normalized: true,
      plugins: { tooltip: { mode: 'index', intersect: false, displayColors: false } },
      scales: {
        x: { stacked: true, grid: { display: false }, ticks: { maxRotation: 0, autoSkipPadding: 12, font: { size: 12 } }, border: { display: false } },
        y: { stacked: true, beginAtZero: true, ticks: { precision: 0, maxTicksLimit: 4, font: { size: 12 } }, border: { display: false } },
      },
    },
  });
  let shown = '';
  return {
    update(labels, stacks) {
      const key = JSON.stringify([labels, stacks]);
      if (key === shown) return;
      shown = key;
      chart.data.labels = labels;
      chart.data.datasets = stacks.map((s) => ({ label: s.label, data: s.values, backgroundColor: s.color, barPercentage: 0.9, categoryPercentage: 1 }));
      for (const axis of Object.values(chart.options.scales)) {
        axis.ticks.color = css('--muted');
        axis.grid.color = css('--line');
      }
      chart.update('none');
    },
    destroy: () => chart.destroy(),
  };
}
