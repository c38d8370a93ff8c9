// Where regions are, roughly: the names that clouds give to regions, and cities
// that a region's name may have in it. Enough to draw a map without asking anybody.

export interface Place {
  x: number
  y: number
}

/** Degrees: north, east. */
type Point = [number, number]

const cities: Record<string, Point> = {
  shanghai: [31.2, 121.5], beijing: [39.9, 116.4], hangzhou: [30.3, 120.2], shenzhen: [22.5, 114.1], guangzhou: [23.1, 113.3], qingdao: [36.1, 120.4], nanjing: [32.1, 118.8],
  zhangjiakou: [40.8, 114.9], huhehaote: [40.8, 111.7], chengdu: [30.6, 104.1], chongqing: [29.6, 106.5], wuhan: [30.6, 114.3], ningxia: [37.5, 105.2], fuzhou: [26.1, 119.3], hongkong: [22.3, 114.2], macau: [22.2, 113.5], taipei: [25, 121.6],
  seoul: [37.6, 127], busan: [35.2, 129.1], tokyo: [35.7, 139.7], osaka: [34.7, 135.5], singapore: [1.35, 103.8], jakarta: [-6.2, 106.8], bangkok: [13.8, 100.5], manila: [14.6, 121], hanoi: [21, 105.8], kualalumpur: [3.1, 101.7],
  mumbai: [19.1, 72.9], delhi: [28.6, 77.2], hyderabad: [17.4, 78.5], dubai: [25.2, 55.3], riyadh: [24.7, 46.7], telaviv: [32.1, 34.8], sydney: [-33.9, 151.2], melbourne: [-37.8, 145], auckland: [-36.8, 174.8],
  london: [51.5, -0.1], dublin: [53.3, -6.3], paris: [48.9, 2.4], frankfurt: [50.1, 8.7], amsterdam: [52.4, 4.9], brussels: [50.8, 4.4], zurich: [47.4, 8.5], milan: [45.5, 9.2], madrid: [40.4, -3.7], stockholm: [59.3, 18.1], helsinki: [60.2, 24.9], warsaw: [52.2, 21],
  istanbul: [41, 29], moscow: [55.8, 37.6], johannesburg: [-26.2, 28], capetown: [-33.9, 18.4], lagos: [6.5, 3.4], nairobi: [-1.3, 36.8], cairo: [30, 31.2],
  virginia: [38.9, -77.5], newyork: [40.7, -74], ohio: [40, -83], toronto: [43.7, -79.4], montreal: [45.5, -73.6], chicago: [41.9, -87.6], dallas: [32.8, -96.8], denver: [39.7, -105], oregon: [45.6, -121.2], seattle: [47.6, -122.3], siliconvalley: [37.4, -122], california: [37.4, -122], losangeles: [34.1, -118.2], miami: [25.8, -80.2],
  mexico: [19.4, -99.1], saopaulo: [-23.6, -46.6], santiago: [-33.4, -70.7], bogota: [4.7, -74.1],
}

/** Names of regions in which no city stands. */
const clouds: Record<string, string> = {
  'ap-northeast-1': 'tokyo', 'ap-northeast-2': 'seoul', 'ap-northeast-3': 'osaka', 'ap-southeast-1': 'singapore', 'ap-southeast-2': 'sydney', 'ap-southeast-3': 'jakarta', 'ap-southeast-5': 'kualalumpur', 'ap-southeast-6': 'manila', 'ap-southeast-7': 'bangkok',
  'ap-east-1': 'hongkong', 'ap-east-2': 'taipei', 'ap-south-1': 'mumbai', 'ap-south-2': 'hyderabad', 'cn-north-1': 'beijing', 'cn-northwest-1': 'ningxia', 'me-east-1': 'dubai', 'me-central-1': 'dubai', 'me-south-1': 'riyadh', 'il-central-1': 'telaviv', 'af-south-1': 'capetown',
  'eu-west-1': 'dublin', 'eu-west-2': 'london', 'eu-west-3': 'paris', 'eu-central-1': 'frankfurt', 'eu-central-2': 'zurich', 'eu-south-1': 'milan', 'eu-south-2': 'madrid', 'eu-north-1': 'stockholm',
  'us-east-1': 'virginia', 'us-east-2': 'ohio', 'us-west-1': 'siliconvalley', 'us-west-2': 'oregon', 'ca-central-1': 'montreal', 'ca-west-1': 'denver', 'mx-central-1': 'mexico', 'sa-east-1': 'saopaulo',
  'asia-east1': 'taipei', 'asia-east2': 'hongkong', 'asia-northeast1': 'tokyo', 'asia-northeast2': 'osaka', 'asia-northeast3': 'seoul', 'asia-southeast1': 'singapore', 'asia-southeast2': 'jakarta', 'asia-south1': 'mumbai', 'asia-south2': 'delhi',
  'australia-southeast1': 'sydney', 'australia-southeast2': 'melbourne', 'europe-west1': 'brussels', 'europe-west2': 'london', 'europe-west3': 'frankfurt', 'europe-west4': 'amsterdam', 'europe-west6': 'zurich', 'europe-west9': 'paris', 'europe-north1': 'helsinki', 'europe-central2': 'warsaw',
  'us-central1': 'chicago', 'us-east1': 'virginia', 'us-east4': 'virginia', 'us-west1': 'oregon', 'us-west2': 'losangeles', 'southamerica-east1': 'saopaulo',
  koreacentral: 'seoul', koreasouth: 'busan', japaneast: 'tokyo', japanwest: 'osaka', eastasia: 'hongkong', southeastasia: 'singapore', westeurope: 'amsterdam', northeurope: 'dublin', uksouth: 'london', germanywestcentral: 'frankfurt', francecentral: 'paris', eastus: 'virginia', westus: 'california', centralindia: 'mumbai', australiaeast: 'sydney',
}

/** Where a region is; undefined when its name does not say. */
export function whereIs(region: string): Point | undefined {
  const name = region.toLowerCase()
  const city = clouds[name]
  if (city) return cities[city]
  const words = name.replace(/[^a-z]+/g, ' ').trim().split(' ')
  for (let n = 0; n < words.length; n++) {
    const found = cities[words[n]] ?? cities[words[n] + (words[n + 1] ?? '')]
    if (found) return found
  }
  return undefined
}

/** A line of the map's grid: at a place, in so many degrees. */
export interface Grid {
  at: number
  degrees: number
}

export interface Map2D {
  at: Map<string, Place> // by the PoP's name
  east: Grid[] // lines from top to bottom
  north: Grid[] // lines from left to right
}

/** Puts PoPs on a map that just holds them; undefined when a region's place is not known. */
export function mapped(pops: { name: string; region: string }[], width: number, height: number, margin: Place, apart: number): Map2D | undefined {
  const points = pops.map((p) => whereIs(p.region))
  if (points.length === 0 || points.some((p) => !p)) return undefined
  const known = points as Point[]
  // The world is cut where there is most room between two, so that the Pacific may be in the middle.
  const sorted = [...new Set(known.map((p) => p[1]))].sort((a, b) => a - b)
  let cut = sorted[0]
  let widest = 0
  sorted.forEach((east, i) => {
    const room = i === 0 ? east + 360 - sorted[sorted.length - 1] : east - sorted[i - 1]
    if (room > widest) [widest, cut] = [room, east]
  })
  const flat = known.map(([north, east]): Point => [north, east < cut ? east + 360 : east])
  const middle = (v: number[]) => (Math.min(...v) + Math.max(...v)) / 2
  const [north, east] = [middle(flat.map((p) => p[0])), middle(flat.map((p) => p[1]))]
  const squeeze = Math.cos((north * Math.PI) / 180) // a degree of longitude is shorter than one of latitude
  const reach = (v: number[], least: number) => Math.max(Math.max(...v) - Math.min(...v), least)
  const scale = Math.min((width - 2 * margin.x) / (reach(flat.map((p) => p[1]), 4) * squeeze), (height - 2 * margin.y) / reach(flat.map((p) => p[0]), 4))
  const x = (degrees: number) => width / 2 + (degrees - east) * squeeze * scale
  const y = (degrees: number) => height / 2 - (degrees - north) * scale
  const places = flat.map((p, i): Place => {
    const turn = (2 * Math.PI * i) / flat.length // those of one city begin apart, always alike
    return { x: x(p[1]) + Math.cos(turn), y: y(p[0]) + Math.sin(turn) }
  })
  push(places, apart, width, height, margin)
  return { at: new Map(pops.map((p, i) => [p.name, places[i]])), east: grid(x, width, east, squeeze * scale), north: grid(y, height, north, -scale) }
}

/** Moves places apart that are too near to be read, not beyond the margins. */
function push(places: Place[], apart: number, width: number, height: number, margin: Place) {
  for (let round = 0; round < 60; round++) {
    let moved = false
    for (let i = 0; i < places.length; i++) {
      for (let k = 0; k < i; k++) {
        const [dx, dy] = [places[i].x - places[k].x, places[i].y - places[k].y]
        const distance = Math.hypot(dx, dy) || 1
        if (distance >= apart) continue
        const by = (apart - distance) / 2 / distance
        places[i].x += dx * by
        places[i].y += dy * by
        places[k].x -= dx * by
        places[k].y -= dy * by
        moved = true
      }
      places[i].x = Math.min(Math.max(places[i].x, margin.x), width - margin.x)
      places[i].y = Math.min(Math.max(places[i].y, margin.y), height - margin.y)
    }
    if (!moved) return
  }
}

/** Lines of the grid in round degrees, some 120 units apart. */
function grid(to: (degrees: number) => number, length: number, middle: number, scale: number): Grid[] {
  const step = [1, 2, 5, 10, 20, 30, 60].find((s) => Math.abs(s * scale) >= 90) ?? 90
  const lines: Grid[] = []
  const first = Math.floor((middle - length / 2 / Math.abs(scale)) / step) * step
  for (let d = first; d <= middle + length / 2 / Math.abs(scale); d += step) {
    const at = to(d)
    if (at > 24 && at < length - 24) lines.push({ at, degrees: d })
  }
  return lines
}

/** Degrees as a map has them: 30° N, 120° E. */
export function degrees(d: number, letters: [string, string]): string {
  const wrapped = d > 180 ? d - 360 : d
  return `${Math.abs(wrapped)}°${wrapped === 0 ? '' : ` ${wrapped > 0 ? letters[0] : letters[1]}`}`
}
