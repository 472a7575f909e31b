// Tells the operator on the first page why the service is not ready, such as a database that is out of reach.
"use strict";

async function showStatus() {
  const response = await fetch("health/ready");
  if (response.status !== 503) return;
  const { detail } = await response.json();
  const isShown = [...document.querySelectorAll(".notice")].some((notice) => notice.textContent === detail);
  const paragraph = document.getElementById("status");
  paragraph.textContent = `The service is not ready: ${detail}`;
  paragraph.hidden = isShown;
}

showStatus();
