package rpcapi

import (
	"context"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/apiform"
	"causeway/internal/control/service"
	"causeway/internal/resource"
	"causeway/internal/vpn/device"
)

func (a *api) CreateIPsecConnection(ctx context.Context, r *connect.Request[v1.CreateIPsecConnectionRequest]) (*connect.Response[v1.IPsecConnection], error) {
	return create(ctx, r.Msg, r.Msg.GetIpsecConnection(), a.service.CreateIPsecConnection)
}

func (a *api) GetIPsecConnection(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.IPsecConnection], error) {
	return get[*v1.IPsecConnection](ctx, r, a.service.GetIPsecConnection)
}

func (a *api) ListIPsecConnections(ctx context.Context, r *connect.Request[v1.ListRequest]) (*connect.Response[v1.ListIPsecConnectionsResponse], error) {
	items, page, err := list[*v1.IPsecConnection](ctx, r, a.service.ListIPsecConnections)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ListIPsecConnectionsResponse{IpsecConnections: items, NextPageToken: page.Next, Revision: page.Revision, Total: int32(page.Total)}), nil
}

func (a *api) UpdateIPsecConnection(ctx context.Context, r *connect.Request[v1.UpdateIPsecConnectionRequest]) (*connect.Response[v1.IPsecConnection], error) {
	return update(ctx, r.Msg, r.Msg.GetIpsecConnection(), a.service.UpdateIPsecConnection, func(to, from *resource.IPsecConnection) { to.IPsecConnectionSpec = from.IPsecConnectionSpec })
}

func (a *api) DeleteIPsecConnection(ctx context.Context, r *connect.Request[v1.DeleteRequest]) (*connect.Response[v1.DeleteResponse], error) {
	return remove(ctx, r, a.service.DeleteIPsecConnection)
}

func (a *api) GetVPNConfig(ctx context.Context, r *connect.Request[v1.GetVPNConfigRequest]) (*connect.Response[v1.VPNConfig], error) {
	m := r.Msg
	config, err := a.service.GetVPNConfig(ctx, read(ctx), m.GetName(), service.VPNConfigRequest{
		Device: m.GetDevice(), Side: m.GetSide(), Reveal: m.GetShowSecrets(), WAN: m.GetWan(), LAN: m.GetLan(),
	})
	if err != nil {
		return nil, err
	}
	answer := &v1.VPNConfig{Device: deviceOf(config.Device), Notes: config.Notes, Warnings: config.Warnings, Findings: apiform.EncodeFindings(config.Findings)}
	for _, f := range config.Files {
		answer.Files = append(answer.Files, &v1.VPNConfigFile{Name: f.Name, Text: f.Text, Secret: f.Secret})
	}
	return connect.NewResponse(answer), nil
}

func deviceOf(d device.Device) *v1.VPNDevice {
	return &v1.VPNDevice{Name: d.Name, Title: d.Title, Aliases: d.Aliases, Tested: d.Tested}
}

func (a *api) ListVPNDevices(context.Context, *connect.Request[v1.ListVPNDevicesRequest]) (*connect.Response[v1.ListVPNDevicesResponse], error) {
	answer := &v1.ListVPNDevicesResponse{}
	for _, d := range device.Devices() {
		answer.Devices = append(answer.Devices, deviceOf(d))
	}
	return connect.NewResponse(answer), nil
}

func (a *api) DiagnoseVPN(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.VPNDiagnosis], error) {
	d, err := a.service.DiagnoseVPN(ctx, read(ctx), r.Msg.GetName(), func(pop string) []byte {
		text, _ := a.options.LastReport(pop)
		return text
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.VPNDiagnosis{Connection: d.Connection, State: string(d.State), Findings: apiform.EncodeFindings(d.Findings), Sources: d.Sources}), nil
}
