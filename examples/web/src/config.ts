/** The address of the Tasks API, which the server of the page writes into the document. */
export const apiUrl = document.querySelector<HTMLMetaElement>('meta[name="tasks-api-url"]')!.content;
