// The address is relative to this page, so that it is correct below any prefix that a proxy adds. Swagger UI needs it as an
// absolute one to resolve the address of the guide.
window.ui = SwaggerUIBundle({
  url: new URL("openapi.json", document.baseURI).href,
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
