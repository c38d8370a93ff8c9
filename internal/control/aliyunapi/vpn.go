package aliyunapi

var vpnGatewayActions, customerGatewayActions, vpnConnectionActions, vpnRouteActions, diagnosisActions []action
