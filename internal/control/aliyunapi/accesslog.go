package aliyunapi

import "causeway/internal/resource"

const noLogStore = "there is no log service to attach: PoPs write flow logs to their own disk; switch them on with EnableAccessLog of UpdateEndpointGroup, or with causeway endpoint-group update --flow-log"

var logActions = []action{
	{name: "AttachLogStoreToEndpointGroup", kind: resource.KindEndpointGroup, verdict: refused, note: noLogStore, do: refusing("OperationDenied.NotSupported", noLogStore)},
	{name: "DetachLogStoreFromEndpointGroup", kind: resource.KindEndpointGroup, verdict: refused, note: noLogStore, do: refusing("OperationDenied.NotSupported", noLogStore)},
	{name: "DescribeLogStoreOfEndpointGroup", kind: resource.KindEndpointGroup, origin: later, verdict: differs, note: "says whether flow logs are on; there is no log store", do: describeLogStore},
}

func describeLogStore(c *call) (reply, error) {
	id, err := c.params.need("EndpointGroupId")
	if err != nil {
		return nil, err
	}
	g, err := c.service.GetEndpointGroup(c.ctx, c.read(), id)
	if err != nil {
		return nil, err
	}
	status := "off"
	if g.FlowLog {
		status = "on"
	}
	return reply{"AcceleratorId": c.params.text("AcceleratorId"), "EndpointGroupId": g.ID, "SlsRegionId": "", "SlsProjectName": "", "SlsLogStoreName": "", "Status": status}, nil
}
