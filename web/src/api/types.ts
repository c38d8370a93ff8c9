// The API's messages as JSON has them (api/proto is where they are defined).
// Fields with their zero value are left out; 64-bit numbers are strings.

export interface Meta {
  name: string
  title?: string
  description?: string
  id?: string
  revision?: string
  created?: string
  updated?: string
  status?: Status
}

export interface Status {
  state?: string
  reason?: string
  pops?: string[]
}

export interface Region extends Meta {
  area?: string
}

export interface PoP extends Meta {
  region: string
  overlay?: { name: string; bind: string; public?: string; mtu?: number }[]
  addresses?: { bind: string; public?: string; use?: string }[]
  cordoned?: boolean
  given?: { label?: number; enrolment?: { at?: string; notAfter?: string; revoked?: boolean } }
  status?: Status & { since?: string; applied?: string; desired?: string; refusal?: string; build?: string; sessions?: number; addressesGiven?: number; addresses?: number }
}

export interface Accelerator extends Meta {
  spec?: string
  sourceConsistent?: boolean
  enabled?: boolean
  status?: Status & { basicPackage?: string; crossDomainPackage?: string }
}

export interface BandwidthPackage extends Meta {
  type: string
  kind?: string
  mbps?: number
  accelerator?: string
}

export interface IPSet extends Meta {
  accelerator: string
  region: string
  mbps?: number
  given?: { pop?: string; bind?: string; acceleratedIp?: string }
}

export interface Listener extends Meta {
  accelerator: string
  protocol?: string
  ports?: { from: number; to?: number }[]
  idleTimeout?: string
  repair?: string
  order?: string
  status?: Status & { addresses?: string[]; egressIps?: string[] }
}

export interface Endpoint {
  address?: string
  domain?: string
  weight?: number
}

export interface EndpointGroup extends Meta {
  listener: string
  region: string
  endpoints?: Endpoint[]
  trafficPercentage?: number
  priority?: number
  healthCheck?: { probe: string }
  egressIp?: string
  given?: { egressIp?: string; pop?: string; bind?: string; ip?: string }
}

export interface EgressIP extends Meta {
  region: string
  reserved?: boolean
  given?: { pop?: string; ip?: string }
  status?: Status & { endpointGroup?: string }
}

export interface AccessKey extends Meta {
  role?: string
  enabled?: boolean
}

export interface Token extends Meta {
  pop?: string
  ttl?: string
  given?: { expires?: string; used?: string }
}

export interface VPNFinding {
  code: string
  severity?: string
  tunnel?: string
  field?: string
  at?: string
  text?: string
  fix?: string
  source?: string
  mismatchLocal?: string
  mismatchRemote?: string
}

export interface IPsecConnection extends Meta {
  vpnGateway: string
  customerGateway?: string
  localNetworks?: string[]
  remoteNetworks?: string[]
  accelerator?: string
  status?: Status & {
    since?: string
    active?: string[]
    tunnels?: { name: string; role?: string; state?: string; since?: string; local?: string; peer?: string }[]
    findings?: VPNFinding[]
  }
}

export interface Overview {
  at: string
  pops?: PoPOverview[]
  segments?: SegmentOverview[]
  routes?: RouteOverview[]
  accelerators?: AcceleratorOverview[]
  alarms?: AlarmOverview[]
  silent?: string[]
}

export interface PoPOverview {
  name: string
  region?: string
  reported?: string
  started?: string
  build?: string
  snapshot?: string
  snapshotSince?: string
  sessions?: number
  packets?: string
  bytes?: string
  dropped?: string
  cpuSeconds?: number
  rssBytes?: string
}

export interface SegmentOverview {
  from: string
  to: string
  up?: boolean
  state?: string
  rttMs?: number
  rawLoss?: number
  rawLossFrom?: number
  residualLoss?: number
  overhead?: number
  wires?: { name: string; up?: boolean; rttMs?: number; jitterMs?: number; loss?: number; rateBps?: number }[]
}

export interface Candidate {
  via?: string[]
  up?: boolean
  chosen?: boolean
  copy?: boolean
  rttMs?: number
  loss?: number
  score?: number
  why?: string
}

export interface RouteOverview {
  from: string
  to: string
  up?: boolean
  via?: string[]
  reason?: string
  since?: string
  switches?: string
  pinned?: boolean
  candidates?: Candidate[]
}

export interface AcceleratorOverview {
  name: string
  sessions?: number
  associations?: number
  packetsToEndpoint?: string
  bytesToEndpoint?: string
  packetsToClient?: string
  bytesToClient?: string
  dropped?: string
  rawLoss?: number
  residualLoss?: number
  rttMs?: number
  limitUsed?: number
  limitDropped?: string
}

export interface AlarmOverview {
  pop: string
  kind: string
  object: string
  since?: string
  text: string
}

/** Every kind that can be watched, the key of its message in an Object, and the API's word for it. */
export const kinds = {
  region: { field: 'region', type: 'Region', list: 'regions' },
  pop: { field: 'pop', type: 'PoP', list: 'pops' },
  accelerator: { field: 'accelerator', type: 'Accelerator', list: 'accelerators' },
  'bandwidth-package': { field: 'bandwidthPackage', type: 'BandwidthPackage', list: 'bandwidthPackages' },
  'ip-set': { field: 'ipSet', type: 'IPSet', list: 'ipSets' },
  listener: { field: 'listener', type: 'Listener', list: 'listeners' },
  'egress-ip': { field: 'egressIp', type: 'EgressIP', list: 'egressIps' },
  'endpoint-group': { field: 'endpointGroup', type: 'EndpointGroup', list: 'endpointGroups' },
  'vpn-gateway': { field: 'vpnGateway', type: 'VPNGateway', list: 'vpnGateways' },
  'customer-gateway': { field: 'customerGateway', type: 'CustomerGateway', list: 'customerGateways' },
  'ipsec-connection': { field: 'ipsecConnection', type: 'IPsecConnection', list: 'ipsecConnections' },
  'vpn-route': { field: 'vpnRoute', type: 'VPNRoute', list: 'vpnRoutes' },
  'access-key': { field: 'accessKey', type: 'AccessKey', list: 'accessKeys' },
  token: { field: 'token', type: 'Token', list: 'tokens' },
} as const

export type Kind = keyof typeof kinds

/** Kinds that only admins may see. */
export const secretKinds: Kind[] = ['access-key', 'token']
