// A chart over time like smokeping's: the median as a line, the smoke from the
// smallest to the largest around it, loss as bars below. uPlot draws it.

import { useEffect, useRef } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { locale, t } from '../i18n'
import { useDark } from '../theme'

export interface Series {
  label: string
  values: (number | null)[]
  color: string // the name of a CSS variable: --accent
  width?: number
  dash?: number[]
  fill?: string // likewise
}

/** The colours in use, which the theme decides. */
function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}

/** An instant on an axis whose marks are so many seconds apart. */
function clock(at: number, step: number): string {
  const d = new Date(at * 1000)
  if (step >= 86_400 || (step >= 3600 && d.getHours() === 0 && d.getMinutes() === 0)) return d.toLocaleDateString(locale(), { month: 'short', day: 'numeric' })
  return d.toLocaleTimeString(locale(), { hour: '2-digit', minute: '2-digit', second: step < 60 ? '2-digit' : undefined, hourCycle: 'h23' })
}

export function Chart(props: { times: number[]; series: Series[]; bands?: [number, number][]; height?: number; label: string; digits?: number; unit?: string; range?: [number, number] }) {
  const dark = useDark() // drawn anew with other colours
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => {
    const element = box.current
    if (!element) return
    const axis = { stroke: color('--muted'), grid: { stroke: color('--line'), width: 1 }, ticks: { stroke: color('--line'), width: 1 } }
    const plot = new uPlot(
      {
        width: element.clientWidth || 600,
        height: props.height ?? 220,
        series: [
          { label: t('history.time'), value: (_: uPlot, v: number | null) => (v === null || v === undefined ? '–' : clock(v, 1)) },
          ...props.series.map((s) => ({
            label: s.label,
            stroke: color(s.color),
            width: s.width ?? 1.5,
            dash: s.dash,
            fill: s.fill ? color(s.fill) : undefined,
            points: { show: false },
            value: (_: uPlot, v: number | null) => (v === null || v === undefined ? '–' : `${v.toLocaleString(locale(), { maximumFractionDigits: props.digits ?? 1 })}${props.unit ? ` ${props.unit}` : ''}`),
          })),
        ],
        bands: props.bands?.map((b) => ({ series: b, fill: color('--smoke') })),
        axes: [
          { ...axis, space: 80, values: (_: uPlot, at: number[], __: number, ___: number, step: number) => at.map((s) => clock(s, step)) },
          { ...axis, size: 64, values: (_: uPlot, at: number[]) => at.map((v) => `${v.toLocaleString(locale(), { maximumFractionDigits: 3 })}${props.unit ? ` ${props.unit}` : ''}`) },
        ],
        scales: { x: props.range ? { range: props.range } : {}, y: { range: (_, min, max) => [Math.min(0, min ?? 0), (max ?? 1) * 1.08 || 1] } },
        legend: { live: true },
        cursor: { sync: { key: 'causeway' } },
      },
      [props.times, ...props.series.map((s) => s.values)] as uPlot.AlignedData,
      element,
    )
    const fit = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: props.height ?? 220 }))
    fit.observe(element)
    return () => {
      fit.disconnect()
      plot.destroy()
    }
  }, [props.times, props.series, props.bands, props.height, props.digits, props.unit, props.range, dark])
  return <div className="chart" ref={box} role="img" aria-label={props.label} />
}
