package aliyunapi

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"causeway/internal/control/service"
	"causeway/internal/resource"
	"causeway/internal/vpn"
)

var diagnosisActions = []action{
	{name: "DescribeVpnConnectionLogs", kind: resource.KindIPsecConnection, verdict: differs, note: "the lines that findings were drawn from, with their times; the whole log stays with the gateway's journal", do: describeLogs},
	{name: "DiagnoseVpnConnections", kind: resource.KindIPsecConnection, verdict: differs, note: "also with codes of ours for what only PoPs can see, such as NatTMissing and Port4500Blocked", do: diagnoseConnections},
	{name: "DiagnoseVpnGateway", kind: resource.KindVPNGateway, verdict: differs, note: "nothing runs in the background: the result is worked out when it is asked for", writes: true, do: diagnoseGateway},
	{name: "GetVpnGatewayDiagnoseResult", kind: resource.KindVPNGateway, verdict: supported, do: diagnoseResult},
}

// diagnose is all that is known of what is wrong with a connection.
func (c *call) diagnose(ref string) ([]vpn.Finding, error) {
	d, err := c.service.DiagnoseVPN(c.ctx, c.read(), ref, func(pop string) []byte {
		if c.lastReport == nil {
			return nil
		}
		text, _ := c.lastReport(pop)
		return text
	})
	return d.Findings, err
}

// describeLogs tells the lines that were noted, the oldest first.
func describeLogs(c *call) (reply, error) {
	o, _, err := c.readConnection()
	if err != nil {
		return nil, err
	}
	from, to, err := c.period()
	if err != nil {
		return nil, err
	}
	findings, err := c.diagnose(o.ID)
	if err != nil {
		return nil, err
	}
	if id := c.params.text("TunnelId"); id != "" {
		n := slices.IndexFunc(o.Tunnels, func(resource.IPsecTunnel) bool { return false })
		for i := range o.Tunnels {
			if tunnelID(&o, i) == id {
				n = i
			}
		}
		if n < 0 {
			return nil, refuse("InvalidTunnelId.NotFound", "the connection has no tunnel %s", clip(id))
		}
		findings = slices.DeleteFunc(findings, func(f vpn.Finding) bool { return f.Tunnel != "" && f.Tunnel != o.TunnelName(n) })
	}
	slices.SortStableFunc(findings, func(a, b vpn.Finding) int { return a.At.Compare(b.At) })
	var lines []string
	for _, f := range findings {
		if f.At.IsZero() || f.At.Before(from) || f.At.After(to) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s [%s] %s", f.At.UTC().Format(time.RFC3339), f.Code, orElse(f.Source, f.Text)))
	}
	number, err := c.params.number("PageNumber", 1, 1_000_000, 1)
	if err != nil {
		return nil, err
	}
	size, err := c.params.number("PageSize", 1, 50, 10)
	if err != nil {
		return nil, err
	}
	cut := lines[min((number-1)*size, len(lines)):min(number*size, len(lines))]
	return reply{"Data": reply{"Logs": append([]string{}, cut...)}, "Count": len(cut), "PageNumber": number, "PageSize": size, "IsCompleted": true}, nil
}

// period is the time that a request asks about; default: the last ten minutes.
func (c *call) period() (from, to time.Time, err error) {
	minutes, err := c.params.number("MinutePeriod", 1, 10, 10)
	if err != nil {
		return from, to, err
	}
	to = c.now()
	from = to.Add(-time.Duration(minutes) * time.Minute)
	for name, into := range map[string]*time.Time{"From": &from, "To": &to} {
		if text := c.params.text(name); text != "" {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil || n < 0 {
				return from, to, refuse("InvalidParameter", "%s is %q; allowed: seconds since 1970", name, clip(text))
			}
			*into = time.Unix(n, 0)
		}
	}
	return from, to, nil
}

func diagnoseConnections(c *call) (reply, error) {
	all, err := everything(c, c.service.ListIPsecConnections, service.Query{VPNGateway: c.params.text("VpnGatewayId")})
	if err != nil {
		return nil, err
	}
	ids, err := c.params.texts("VpnConnectionIds")
	if err != nil {
		return nil, err
	}
	tunnels, err := c.params.texts("TunnelIds")
	if err != nil {
		return nil, err
	}
	if len(ids)+len(tunnels) == 0 {
		return nil, refuse("MissingParameter", "the parameter VpnConnectionIds.1 or TunnelIds.1 is needed")
	}
	type one struct {
		connection *resource.IPsecConnection
		tunnel     int // -1: the whole
	}
	var asked []one
	for _, id := range ids {
		o := find(all, id)
		if o == nil {
			return nil, refuse("InvalidVpnConnectionInstanceId.NotFound", "there is no connection %s", clip(id))
		}
		asked = append(asked, one{o, -1})
	}
	for i := range all {
		for n := range all[i].Tunnels {
			if slices.Contains(tunnels, tunnelID(&all[i], n)) {
				asked = append(asked, one{&all[i], n})
			}
		}
	}
	s, err := c.scene()
	if err != nil {
		return nil, err
	}
	var failed error
	r, err := page(c, "VpnConnections", asked, func(a *one) reply {
		findings, err := c.diagnose(a.connection.ID)
		if err != nil {
			failed = err
		}
		answer := diagnosisReply(findings, a.connection, a.tunnel)
		answer["VpnConnectionId"], answer["VpnGatewayId"], answer["CustomerGatewayId"] = a.connection.ID, idOf(s.World.VPNGateways, a.connection.VPNGateway), idOf(s.World.CustomerGateways, a.connection.CustomerGateway)
		return answer
	})
	if failed != nil {
		return nil, failed
	}
	return r, err
}

// diagnosisReply is the worst finding of a connection, or of one of its tunnels.
// Findings come with the worst first.
func diagnosisReply(findings []vpn.Finding, o *resource.IPsecConnection, tunnel int) reply {
	answer := reply{"TunnelId": "", "FailedReasonCode": string(vpn.NoExceptionFound), "FailedReason": "nothing is known to be wrong", "FailedTime": 0, "Severity": string(vpn.Normal), "SourceLog": "",
		"MismatchLocalParam": "", "MismatchRemoteParam": ""}
	if tunnel >= 0 {
		answer["TunnelId"] = tunnelID(o, tunnel)
	}
	for _, f := range findings {
		if tunnel >= 0 && f.Tunnel != "" && f.Tunnel != o.TunnelName(tunnel) {
			continue
		}
		at := int64(0)
		if !f.At.IsZero() {
			at = f.At.UnixMilli()
		}
		answer["FailedReasonCode"], answer["FailedReason"], answer["FailedTime"], answer["Severity"] = string(f.Code), strings.TrimSpace(f.Text+" "+f.Fix), at, string(f.Severity)
		answer["SourceLog"], answer["MismatchLocalParam"], answer["MismatchRemoteParam"] = f.Source, f.Local, f.Remote
		break
	}
	return answer
}

// A diagnosis of a gateway has an ID that says all of it: the connection and when.
func diagnoseGateway(c *call) (reply, error) {
	gateway, err := c.params.need("VpnGatewayId")
	if err != nil {
		return nil, err
	}
	id, err := c.params.need("ResourceId")
	if err != nil {
		return nil, err
	}
	g, err := c.service.GetVPNGateway(c.ctx, c.read(), gateway)
	if err != nil {
		return nil, err
	}
	o, err := c.service.GetIPsecConnection(c.ctx, c.read(), id)
	if err != nil {
		return nil, err
	}
	if o.VPNGateway != g.Name {
		return nil, refuse("InvalidVpnConnectionInstanceId.NotFound", "VPN gateway %s has no connection %s", g.ID, o.ID)
	}
	return reply{"DiagnoseId": fmt.Sprintf("vpndgn-%s-%d", hex.EncodeToString([]byte(o.ID)), c.now().Unix())}, nil
}

func diagnoseResult(c *call) (reply, error) {
	id, err := c.params.need("DiagnoseId")
	if err != nil {
		return nil, err
	}
	unknown := refuse("InvalidDiagnoseId.NotFound", "there is no diagnosis %s", clip(id))
	coded, at, ok := strings.Cut(strings.TrimPrefix(id, "vpndgn-"), "-")
	connection, err := hex.DecodeString(coded)
	began, bad := strconv.ParseInt(at, 10, 64)
	if !ok || err != nil || bad != nil {
		return nil, unknown
	}
	o, err := c.service.GetIPsecConnection(c.ctx, c.read(), string(connection))
	if err != nil {
		return nil, unknown
	}
	findings, err := c.diagnose(o.ID)
	if err != nil {
		return nil, err
	}
	s, err := c.scene()
	if err != nil {
		return nil, err
	}
	when := time.Unix(began, 0).UTC().Format(timeLayout)
	items := c.gatewayItems(s, &o, findings)
	return reply{"DiagnoseId": id, "VpnGatewayId": idOf(s.World.VPNGateways, o.VPNGateway), "ResourceInstanceId": o.ID, "ResourceType": "IPsec", "BeginTime": when, "FinishTime": when,
		"TotalCount": len(items), "FinishedCount": len(items), "DiagnoseResult": items}, nil
}

// gatewayItems are the vendor's seven questions, answered by what is counted and found.
func (c *call) gatewayItems(s *scene, o *resource.IPsecConnection, findings []vpn.Finding) []reply {
	policy, plain, connections := 0, 0, 0
	for i := range s.World.VPNRoutes {
		switch r := &s.World.VPNRoutes[i]; {
		case r.Given.VPNGateway != o.VPNGateway:
		case r.IsPolicy():
			policy++
		default:
			plain++
		}
	}
	for i := range s.World.IPsecConnections {
		if s.World.IPsecConnections[i].VPNGateway == o.VPNGateway {
			connections++
		}
	}
	quota := func(name string, n, most int) reply {
		level := "normal"
		if n*5 > most*4 {
			level = "warning"
		}
		return reply{"DiagnoseName": name, "DiagnoseResultLevel": level, "DiagnoseResultDescription": fmt.Sprintf("%d of %d", n, most)}
	}
	by := func(name string, codes ...vpn.Code) reply {
		for _, f := range findings {
			if slices.Contains(codes, f.Code) {
				level := map[vpn.Severity]string{vpn.Critical: "error", vpn.Warn: "warning"}[f.Severity]
				return reply{"DiagnoseName": name, "DiagnoseResultLevel": orElse(level, "normal"), "DiagnoseResultDescription": strings.TrimSpace(f.Text + " " + f.Fix)}
			}
		}
		return reply{"DiagnoseName": name, "DiagnoseResultLevel": "normal", "DiagnoseResultDescription": "nothing is known to be wrong"}
	}
	return []reply{
		by("RouteEntryConflict", vpn.OverlappingNetworks, vpn.PublicNetwork),
		quota("VpnRouteQuota", plain, resource.MaxVPNRoutes),
		{"DiagnoseName": "VpnIPsecQuota", "DiagnoseResultLevel": "normal", "DiagnoseResultDescription": fmt.Sprintf("%d connections; there is no limit", connections)},
		quota("VpnPbrRouteQuota", policy, resource.MaxVPNRoutes),
		by("VcoConfigConsistency", vpn.PeerMismatch, vpn.AlgorithmMismatch, vpn.EncryptionAlgorithmMismatch, vpn.AuthenticationAlgorithmMismatch, vpn.DhGroupMismatch, vpn.PskMismatch, vpn.PeerIdMismatch,
			vpn.IkeVersionMismatch, vpn.NegotiationModeMismatch, vpn.NatTMismatch, vpn.LifetimeMismatch, vpn.TrafficSelectorMismatch, vpn.PfsMismatch, vpn.ProposalMismatch),
		by("VcoUserInternetIpConnectivity", vpn.NoResponse, vpn.DpdTimeout, vpn.Phase1NegotiationTimeout, vpn.Port4500Blocked, vpn.NatTMissing, vpn.PathLoss),
		by("VcoPrivateConnectivity", vpn.NoReturnTraffic, vpn.PathMTUTooSmall, vpn.Phase2NegotiationTimeout, vpn.PublicNetwork),
	}
}
