"use strict";

// Swagger UI has a class for dark colours, and leaves it to the page to set it.
const dark = matchMedia("(prefers-color-scheme: dark)");
const followColorScheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", followColorScheme);
followColorScheme();

const SCHEME = "bearerAuth";
const element = document.getElementById("swagger-ui");

/** The `sub` claim of the token that was entered; undefined without one. */
function subjectOf(system) {
  const token = system.authSelectors.authorized()?.getIn([SCHEME, "value"]);
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (char) => char.charCodeAt(0)))).sub;
  } catch {
    return undefined;
  }
}

/** Fills in the parameters with `x-token-claim: sub`, unless the reader has typed something else. */
function fillIn(Original, system) {
  const filledIn = new Set([undefined, ""]);
  return class extends system.React.Component {
    constructor(props) {
      super(props);
      this.fill();
    }

    componentDidMount() {
      this.unsubscribe = system.getStore().subscribe(() => this.fill());
    }

    componentWillUnmount() {
      this.unsubscribe();
    }

    fill() {
      const { rawParam, pathMethod } = this.props;
      const subject = rawParam.get("x-token-claim") === "sub" ? subjectOf(system) : undefined;
      if (subject === undefined || subject === this.subject) return;
      this.subject = subject;
      rawParam.get("examples")?.forEach((example) => filledIn.add(example.get("value")));
      const value = system.specSelectors.parameterWithMetaByIdentity(pathMethod, rawParam)?.get("value");
      filledIn.add(subject);
      if (filledIn.has(value) && value !== subject) {
        system.specActions.changeParamByIdentity(pathMethod, rawParam, subject, false);
      }
    }

    render() {
      return system.React.createElement(Original, this.props);
    }
  };
}

/** Adds a button beside *Authorize* that enters the token of the demo user. */
function withDemoToken(Original, system) {
  const { createElement, Fragment } = system.React;
  const authorize = async () => {
    const response = await fetch(new URL(element.dataset.demoToken, document.baseURI), { cache: "no-store" });
    const { token } = await response.json();
    const schema = system.specSelectors.specJson().getIn(["components", "securitySchemes", SCHEME]);
    system.authActions.authorizeWithPersistOption({ [SCHEME]: { name: SCHEME, schema, value: token } });
  };
  return (props) =>
    createElement(
      Fragment,
      null,
      createElement("button", { className: "btn demo-token", onClick: authorize, type: "button" }, "Use demo token"),
      createElement(Original, props),
    );
}

const components = { parameterRow: fillIn };
if (element.dataset.demoToken) components.authorizeBtn = withDemoToken;

// The address is relative to this page, so that it is correct below any prefix that a proxy adds. Swagger UI needs it as an
// absolute one to resolve the address of the guide.
window.ui = SwaggerUIBundle({
  url: new URL("openapi.json", document.baseURI).href,
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  plugins: [() => ({ wrapComponents: components })],
});
