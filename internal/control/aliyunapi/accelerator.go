package aliyunapi

import (
	"fmt"

	"causeway/internal/control/service"
	"causeway/internal/resource"
)

var acceleratorActions = []action{
	{name: "CreateAccelerator", kind: resource.KindAccelerator, verdict: differs, note: "nothing is ordered or paid for: Duration, PricingCycle, AutoPay and the like are taken and mean nothing; without Spec the size is custom, which has no limits and reads as an empty Spec", writes: true, do: createAccelerator},
	{name: "DescribeAccelerator", kind: resource.KindAccelerator, verdict: differs, note: "DnsName is empty, ExpiredTime is the end of 2099; State is configuring while PoPs have not applied the newest change", do: describeAccelerator},
	{name: "ListAccelerators", kind: resource.KindAccelerator, verdict: supported, do: listAccelerators},
	{name: "UpdateAccelerator", kind: resource.KindAccelerator, verdict: supported, writes: true, do: updateAccelerator},
	{name: "DeleteAccelerator", kind: resource.KindAccelerator, verdict: differs, note: "subscription instances can be deleted too", writes: true, do: deleteAccelerator},
	{name: "AttachDdosToAccelerator", kind: resource.KindAccelerator, verdict: refused, note: "there is no DDoS protection service here", do: refusing("OperationDenied.NotSupported", "there is no DDoS protection service to attach: PoPs hold no state for strangers by themselves")},
	{name: "DetachDdosFromAccelerator", kind: resource.KindAccelerator, verdict: refused, note: "there is no DDoS protection service here", do: refusing("OperationDenied.NotSupported", "there is no DDoS protection service to detach")},

	{name: "DescribeAcceleratorServiceStatus", kind: resource.KindAccelerator, origin: later, verdict: supported, do: serviceStatus},
	{name: "OpenAcceleratorService", kind: resource.KindAccelerator, origin: later, verdict: differs, note: "the service is always open", do: openService},
	{name: "DescribeAcceleratorAutoRenewAttribute", kind: resource.KindAccelerator, origin: later, verdict: differs, note: "answers what was set; nothing is renewed, as nothing runs out", do: describeAcceleratorRenewal},
	{name: "UpdateAcceleratorAutoRenewAttribute", kind: resource.KindAccelerator, origin: later, verdict: differs, note: "kept and answered again; nothing is renewed, as nothing runs out", writes: true, do: updateAcceleratorRenewal},
	{name: "UpdateAcceleratorCrossBorderStatus", kind: resource.KindAccelerator, origin: later, verdict: differs, note: "kept and answered again; what may cross a border is what a CrossDomain package is bound for", writes: true, do: updateCrossBorder},
	{name: "UpdateAcceleratorCrossBorderMode", kind: resource.KindAccelerator, origin: later, verdict: differs, note: "kept and answered again; lines are what the PoPs' carriers are", writes: true, do: updateCrossBorder},
	{name: "UpdateAcceleratorConfirm", kind: resource.KindAccelerator, origin: later, verdict: differs, note: "there is never anything to confirm: egress IPs do not change by themselves", do: confirmAccelerator},
	{name: "ListSpareIps", kind: resource.KindAccelerator, origin: later, verdict: differs, note: "always empty: there are no spare IPs", do: listSpareIPs},
	{name: "EnableSourceConsistent", kind: resource.KindAccelerator, origin: ours, verdict: supported, note: "the first ticket: AcceleratorId, Enable (default true)", writes: true, do: enableSourceConsistent},
}

func createAccelerator(c *call) (reply, error) {
	var in resource.Accelerator
	c.rename(&in.Meta)
	in.Spec = c.params.text("Spec")
	remember(&in.Meta, "charge", c.params.text("InstanceChargeType"))
	remember(&in.Meta, "billing", c.params.text("BandwidthBillingType"))
	made, err := c.service.CreateAccelerator(c.ctx, c.write(nil), in)
	if err != nil {
		return nil, err
	}
	return reply{"AcceleratorId": made.ID, "OrderId": ""}, nil
}

func describeAccelerator(c *call) (reply, error) {
	id, err := c.params.need("AcceleratorId")
	if err != nil {
		return nil, err
	}
	a, err := c.service.GetAccelerator(c.ctx, c.read(), id)
	if err != nil {
		return nil, err
	}
	s, err := c.scene()
	if err != nil {
		return nil, err
	}
	return acceleratorReply(s, &a), nil
}

func acceleratorReply(s *scene, a *resource.Accelerator) reply {
	r := reply{
		"AcceleratorId": a.ID, "Name": a.Title, "Description": a.Description, "State": s.acceleratorState(a), "Spec": specCode(a), "RegionId": "cn-hangzhou",
		"DnsName": "", "SecondDnsName": "", "CenId": "", "DdosId": "", "ResourceGroupId": "", "InstanceChargeType": said(&a.Meta, "charge", "PREPAY"),
		"BandwidthBillingType": said(&a.Meta, "billing", "BandwidthPackage"), "CreateTime": millis(a), "ExpiredTime": neverExpires, "CrossBorderStatus": said(&a.Meta, "CrossBorderStatus", "false") == "true", "CrossBorderMode": said(&a.Meta, "CrossBorderMode", "private"),
		"SourceConsistent": a.IsSourceConsistent(), "BasicBandwidthPackage": reply{"InstanceId": "", "Bandwidth": 0, "BandwidthType": ""}, "CrossDomainBandwidthPackage": reply{"InstanceId": "", "Bandwidth": 0},
		"Tags": tagList(&a.Meta),
	}
	for i := range s.World.Packages {
		switch p := &s.World.Packages[i]; {
		case p.Accelerator != a.Name:
		case p.Type == resource.Basic:
			r["BasicBandwidthPackage"] = reply{"InstanceId": p.ID, "Bandwidth": p.Mbps, "BandwidthType": gradeWord(p.Grade)}
			r["Bandwidth"] = p.Mbps
		default:
			r["CrossDomainBandwidthPackage"] = reply{"InstanceId": p.ID, "Bandwidth": p.Mbps}
		}
	}
	return r
}

// specCode is an accelerator's size; one without limits has none, as the
// vendor's pay-as-you-go instances have none.
func specCode(a *resource.Accelerator) string {
	if a.Size().Unlimited() {
		return ""
	}
	return a.Size().Code
}

func listAccelerators(c *call) (reply, error) {
	all, s, err := listed(c, c.service.ListAccelerators, service.Query{})
	if err != nil {
		return nil, err
	}
	want, state := c.params.text("AcceleratorId"), c.params.text("State")
	var kept []resource.Accelerator
	for _, a := range all {
		if (want == "" || a.ID == want || a.Name == want) && (state == "" || s.acceleratorState(&a) == state) {
			kept = append(kept, a)
		}
	}
	return page(c, "Accelerators", kept, func(a *resource.Accelerator) reply {
		r := acceleratorReply(s, a)
		r["Type"] = "Standard"
		if r["Bandwidth"] == nil {
			r["Bandwidth"] = 0
		}
		return r
	})
}

func updateAccelerator(c *call) (reply, error) {
	id, err := c.params.need("AcceleratorId")
	if err != nil {
		return nil, err
	}
	_, err = c.service.UpdateAccelerator(c.ctx, c.write(c.unlocked(id, nil)), id, func(a *resource.Accelerator) error {
		c.rename(&a.Meta)
		if spec := c.params.text("Spec"); spec != "" {
			a.Spec = spec
		}
		return nil
	})
	return reply{}, err
}

func deleteAccelerator(c *call) (reply, error) {
	id, err := c.params.need("AcceleratorId")
	if err != nil {
		return nil, err
	}
	gone, err := c.service.DeleteAccelerator(c.ctx, c.write(c.unlocked(id, nil)), id)
	return reply{"AcceleratorId": gone.ID}, err
}

func enableSourceConsistent(c *call) (reply, error) {
	id, err := c.params.need("AcceleratorId")
	if err != nil {
		return nil, err
	}
	on, err := c.params.flag("Enable", true)
	if err != nil {
		return nil, err
	}
	a, err := c.service.UpdateAccelerator(c.ctx, c.write(c.unlocked(id, nil)), id, func(a *resource.Accelerator) error {
		a.SourceConsistent = &on
		return nil
	})
	return reply{"AcceleratorId": a.ID, "SourceConsistent": on}, err
}

func serviceStatus(c *call) (reply, error) {
	_, err := c.service.ListAccelerators(c.ctx, c.read(), service.Query{Limit: 1})
	return reply{"Status": "Normal"}, err
}

func openService(c *call) (reply, error) {
	_, err := c.service.ListAccelerators(c.ctx, c.read(), service.Query{Limit: 1})
	return reply{"OrderId": ""}, err
}

func confirmAccelerator(c *call) (reply, error) {
	if err := c.knowsAccelerator(); err != nil {
		return nil, err
	}
	return reply{}, nil
}

func listSpareIPs(c *call) (reply, error) {
	if err := c.knowsAccelerator(); err != nil {
		return nil, err
	}
	return reply{"SpareIps": []reply{}, "TotalCount": 0, "MaxResults": 50, "NextToken": ""}, nil
}

func describeAcceleratorRenewal(c *call) (reply, error) {
	id, err := c.params.need("AcceleratorId")
	if err != nil {
		return nil, err
	}
	a, err := c.service.GetAccelerator(c.ctx, c.read(), id)
	if err != nil {
		return nil, err
	}
	r := renewalReply(&a.Meta)
	r["AcceleratorId"] = a.ID
	return r, nil
}

func updateAcceleratorRenewal(c *call) (reply, error) {
	id, err := c.params.need("AcceleratorId")
	if err != nil {
		return nil, err
	}
	a, err := c.service.UpdateAccelerator(c.ctx, c.write(nil), id, func(a *resource.Accelerator) error { return c.renew(&a.Meta) })
	return reply{"AcceleratorId": a.ID}, err
}

// updateCrossBorder keeps what clients say about lines across borders.
func updateCrossBorder(c *call) (reply, error) {
	id, err := c.params.need("AcceleratorId")
	if err != nil {
		return nil, err
	}
	mode := c.params.text("CrossBorderMode")
	if mode != "" && mode != "bgpPro" && mode != "private" {
		return nil, refuse("InvalidParameter", "CrossBorderMode is %q; allowed: bgpPro, private", clip(mode))
	}
	on, err := c.params.flag("CrossBorderStatus", false)
	if err != nil {
		return nil, err
	}
	_, err = c.service.UpdateAccelerator(c.ctx, c.write(c.unlocked(id, nil)), id, func(a *resource.Accelerator) error {
		remember(&a.Meta, "CrossBorderMode", mode)
		if c.params.given("CrossBorderStatus") {
			remember(&a.Meta, "CrossBorderStatus", fmt.Sprint(on))
		}
		return nil
	})
	return reply{}, err
}
